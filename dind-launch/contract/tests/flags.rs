//! Flags are what dockerd takes, in words that a shell leaves alone.

#![allow(clippy::unwrap_used)]

use dind_contract::Engine;
use dind_contract::flags::words;
use serde_json::{Value, json};

fn rendered(config: &Value) -> Result<Vec<String>, String> {
    words(&Engine { config: config.as_object().unwrap().clone(), ..Engine::default() })
}

#[test]
fn flags_are_what_dockerd_takes() {
    let config = json!({
        "bip": "172.17.0.5/16",
        "default-address-pools": [{"base": "10.201.0.0/16", "size": 24}, {"base": "10.202.0.0/16", "size": 24}],
        "default-network-opts": {"bridge": {"com.docker.network.driver.mtu": "1400"}},
        "dns": ["10.0.0.2", "10.0.0.3"],
        "dns-opts": ["timeout:5"],
        "log-opts": {"max-size": "10m"},
        "mtu": 1400,
        "userland-proxy": false,
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
            "--log-opt=max-size=10m",
            "--mtu=1400",
            "--userland-proxy=false",
        ]
    );
}

#[test]
fn a_value_that_is_none_or_needs_quotes_is_refused() {
    for text in ["/srv/my docker", "$(reboot)", "a;b", "*"] {
        assert!(rendered(&json!({"data-root": text})).is_err(), "{text}");
        assert!(rendered(&json!({"dns-opts": ["timeout:5", text]})).is_err(), "{text}");
    }
    assert!(rendered(&json!({"data-root": null})).is_err());
}
