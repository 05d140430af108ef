//! `--output flags`: `engine.config` as `dockerd` spells it on its command line.

use crate::document::Engine;
use serde_json::Value;

/// Keys of `daemon.json` that are not the name of their flag: Docker spells lists in the plural there
/// (docs.docker.com/reference/cli/dockerd, "daemon configuration file").
pub const SINGULAR: &[(&str, &str)] = &[
    ("authorization-plugins", "authorization-plugin"),
    ("default-address-pools", "default-address-pool"),
    ("default-network-opts", "default-network-opt"),
    ("cdi-spec-dirs", "cdi-spec-dir"),
    ("default-ulimits", "default-ulimit"),
    ("dns-opts", "dns-opt"),
    ("exec-opts", "exec-opt"),
    ("features", "feature"),
    ("hosts", "host"),
    ("labels", "label"),
    ("log-opts", "log-opt"),
    ("registry-mirrors", "registry-mirror"),
    ("insecure-registries", "insecure-registry"),
    ("node-generic-resources", "node-generic-resource"),
    ("storage-opts", "storage-opt"),
];

/// Settings as flags of dockerd, sorted by key, each a word that a shell leaves as it is.
///
/// # Errors
/// Names a key without a value, or a value that a shell would split or replace.
pub fn words(engine: &Engine) -> Result<Vec<String>, String> {
    let mut flags = Vec::new();
    for (key, value) in &engine.config {
        let name = SINGULAR.iter().find(|(plural, _)| plural == key).map_or(key.as_str(), |(_, flag)| flag);
        if value.is_null() {
            return Err(format!("`{key}` has no value"));
        }
        flags.extend(values(value).into_iter().map(|value| unquoted(format!("--{name}={value}"))));
    }
    flags.into_iter().collect()
}

/// The values of a flag that sets what `value` sets in `daemon.json`; the flag stands once for each.
#[must_use]
pub fn values(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().map(item).collect(),
        // `{"bridge": {"com.docker.network.driver.mtu": "1400"}}` is `bridge=com.docker…=1400`.
        Value::Object(groups) => groups
            .iter()
            .flat_map(|(group, value)| match value {
                Value::Object(pairs) => {
                    pairs.iter().map(|(key, value)| format!("{group}={key}={}", plain(value))).collect()
                }
                value => vec![format!("{group}={}", plain(value))],
            })
            .collect(),
        value => vec![plain(value)],
    }
}

/// A pool is `{"base": …, "size": …}`; its flag takes `base=…,size=…`.
fn item(item: &Value) -> String {
    match item {
        Value::Object(pairs) => {
            let pairs = pairs.iter().map(|(key, value)| format!("{key}={}", plain(value)));
            pairs.collect::<Vec<_>>().join(",")
        }
        item => plain(item),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A word that a shell leaves as it is when it is substituted without quotes.
///
/// # Errors
/// Any other word.
pub fn unquoted(word: String) -> Result<String, String> {
    match word.chars().all(|c| c.is_ascii_alphanumeric() || "-_=./:,@+%".contains(c)) {
        true => Ok(word),
        false => Err(format!("`{word}` cannot be written as one unquoted shell word")),
    }
}
