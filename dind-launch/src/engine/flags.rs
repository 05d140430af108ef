//! Which flag of dockerd sets which key of `daemon.json`, and settings written as flags.

use dind_contract::Engine;
use dind_contract::finish::unquoted;
use serde_json::Value;

/// Flags whose name is not the key of `daemon.json`: Docker spells lists in the plural there
/// (docs.docker.com/reference/cli/dockerd, "daemon configuration file").
const SINGULAR: &[(&str, &str)] = &[
    ("authorization-plugins", "authorization-plugin"),
    ("default-address-pools", "default-address-pool"),
    ("default-network-opts", "default-network-opt"),
    ("cdi-spec-dirs", "cdi-spec-dir"),
    ("default-ulimits", "default-ulimit"),
    ("dns-opts", "dns-opt"),
    ("exec-opts", "exec-opt"),
    ("hosts", "host"),
    ("labels", "label"),
    ("log-opts", "log-opt"),
    ("registry-mirrors", "registry-mirror"),
    ("insecure-registries", "insecure-registry"),
    ("node-generic-resources", "node-generic-resource"),
    ("storage-opts", "storage-opt"),
];

/// The key in `daemon.json` of a long `dockerd` flag, written without its dashes.
#[must_use]
pub fn key_of_flag(flag: &str) -> &str {
    SINGULAR.iter().find(|(_, singular)| *singular == flag).map_or(flag, |(plural, _)| plural)
}

/// The key that was meant by one which is a flag's name only. dockerd takes such a key, and ignores it.
#[must_use]
pub fn key_meant_by(key: &str) -> Option<&'static str> {
    SINGULAR.iter().find(|(_, singular)| *singular == key).map(|(plural, _)| *plural)
}

/// Settings as flags of dockerd, sorted by key, for `dockerd $(dind-launch plan --output flags)`.
///
/// # Errors
/// Names the key whose value cannot be written as one unquoted shell word, or has no flag.
pub fn words(engine: &Engine) -> Result<Vec<String>, String> {
    let mut flags = Vec::new();
    for (key, value) in &engine.config {
        flag_words(key, value, &mut flags)?;
    }
    flags.into_iter().map(unquoted).collect()
}

fn flag_words(key: &str, value: &Value, flags: &mut Vec<String>) -> Result<(), String> {
    let name = SINGULAR.iter().find(|(plural, _)| *plural == key).map_or(key, |(_, flag)| flag);
    match value {
        Value::String(text) => flags.push(format!("--{name}={text}")),
        Value::Bool(_) | Value::Number(_) => flags.push(format!("--{name}={value}")),
        Value::Array(items) => {
            for item in items {
                let text = match item {
                    Value::String(text) => text.clone(),
                    // A pool is `{"base": …, "size": …}`; its flag takes `base=…,size=…`.
                    Value::Object(pairs) => pairs
                        .iter()
                        .map(|(key, value)| format!("{key}={}", bare(value)))
                        .collect::<Vec<_>>()
                        .join(","),
                    other => other.to_string(),
                };
                flags.push(format!("--{name}={text}"));
            }
        }
        // `{"bridge": {"com.docker.network.driver.mtu": "1400"}}` is `bridge=com.docker…=1400`.
        Value::Object(groups) => {
            for (group, value) in groups {
                match value {
                    Value::Object(pairs) => flags.extend(
                        pairs.iter().map(|(key, value)| format!("--{name}={group}={key}={}", bare(value))),
                    ),
                    value => flags.push(format!("--{name}={group}={}", bare(value))),
                }
            }
        }
        Value::Null => return Err(format!("`{key}` has no value")),
    }
    Ok(())
}

fn bare(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn flags_are_what_dockerd_takes() {
        let config = json!({
            "bip": "172.17.0.5/16",
            "default-address-pools": [{"base": "10.201.0.0/16", "size": 24}],
            "default-network-opts": {"bridge": {"com.docker.network.driver.mtu": "1400"}},
            "dns": ["10.0.0.2", "10.0.0.3"],
            "mtu": 1400,
            "userland-proxy": false,
        });
        let engine = Engine { config: config.as_object().unwrap().clone(), ..Engine::default() };
        assert_eq!(
            words(&engine).unwrap(),
            [
                "--bip=172.17.0.5/16",
                "--default-address-pool=base=10.201.0.0/16,size=24",
                "--default-network-opt=bridge=com.docker.network.driver.mtu=1400",
                "--dns=10.0.0.2",
                "--dns=10.0.0.3",
                "--mtu=1400",
                "--userland-proxy=false",
            ]
        );
    }

    #[test]
    fn a_value_that_needs_quotes_is_refused() {
        for text in ["/srv/my docker", "$(reboot)", "a;b", "*"] {
            let mut engine = Engine::default();
            engine.set("data-root", text);
            assert!(words(&engine).is_err(), "{text}");
        }
    }
}
