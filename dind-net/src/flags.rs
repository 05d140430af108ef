//! `--output flags`: the settings that dind-net makes, as `dockerd` spells them on its command line.

use crate::report::Network;
use dind_contract::Report;
use dind_contract::finish::unquoted;
use serde_json::Value;

/// Flags whose name is not the key of `daemon.json`: lists are in the plural there (docs.docker.com/reference/cli/dockerd,
/// "daemon configuration file").
const SINGULAR: [(&str, &str); 3] = [
    ("default-address-pools", "default-address-pool"),
    ("default-network-opts", "default-network-opt"),
    ("dns-opts", "dns-opt"),
];

/// The settings of a report, each a word that a shell leaves as it is.
///
/// # Errors
/// A value that a shell would split or replace.
pub fn flags(report: &Report<Network>) -> Result<Vec<String>, String> {
    let config = report.engine.config.iter();
    let flags = config.flat_map(|(key, value)| {
        let name = SINGULAR.iter().find(|(plural, _)| plural == key).map_or(key.as_str(), |(_, flag)| flag);
        values(value).into_iter().map(move |value| unquoted(format!("--{name}={value}")))
    });
    flags.collect()
}

/// Several where the flag is given several times.
fn values(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().map(item).collect(),
        // `{"bridge": {"com.docker.network.driver.mtu": "1400"}}` is `bridge=com.docker…=1400`.
        Value::Object(drivers) => drivers
            .iter()
            .flat_map(|(driver, options)| {
                let options = options.as_object().into_iter().flatten();
                options.map(move |(key, value)| format!("{driver}={key}={}", plain(value)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use dind_contract::{Draft, Engine};
    use serde_json::json;

    fn rendered(config: &Value) -> Result<Vec<String>, String> {
        let engine = Engine { config: config.as_object().unwrap().clone(), ..Engine::default() };
        flags(&Draft { engine, ..Draft::default() }.report(crate::TOOL, "plan"))
    }

    #[test]
    fn flags_are_what_dockerd_takes() {
        let config = json!({
            "bip": "172.17.0.5/16",
            "default-address-pools": [{"base": "10.201.0.0/16", "size": 24}, {"base": "10.202.0.0/16", "size": 24}],
            "default-network-opts": {"bridge": {"com.docker.network.driver.mtu": "1400"}},
            "dns": ["10.0.0.2", "10.0.0.3"],
            "dns-opts": ["timeout:5"],
            "mtu": 1400,
        });
        assert_eq!(
            rendered(&config).unwrap(),
            [
                "--bip=172.17.0.5/16",
                "--default-address-pool=base=10.201.0.0/16,size=24",
                "--default-address-pool=base=10.202.0.0/16,size=24",
                "--default-network-opt=bridge=com.docker.network.driver.mtu=1400",
                "--dns=10.0.0.2",
                "--dns=10.0.0.3",
                "--dns-opt=timeout:5",
                "--mtu=1400",
            ]
        );
    }

    #[test]
    fn a_value_that_needs_quotes_is_refused() {
        for text in ["my option", "$(reboot)", "a;b", "*"] {
            assert!(rendered(&json!({"dns-opts": [text]})).is_err(), "{text}");
        }
    }
}
