//! Inner containers without a way out: settings that leave to somebody else what dockerd does for them.

use super::args::DaemonArgs;
use dind_contract::Warning;
use dind_system::Root;
use serde_json::{Map, Value, json};

/// Whether packets are passed on between links.
const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";

/// The warning, where it is so. `config` is the merged `daemon.json`.
///
/// On a bridged node the default bridge is on the outer network and needs none of this, but user-defined networks do.
#[must_use]
pub fn warning(root: &Root, config: &Map<String, Value>, args: &DaemonArgs) -> Option<Warning> {
    if config.get("bridge") == Some(&json!("none")) {
        return None;
    }
    let is_off = |key: &str| config.get(key) == Some(&json!(false)) || args.agree(key, &json!(false));
    let forwards = root.read(FORWARDING).is_ok_and(|text| text.trim() == "1");
    let bridged = config.contains_key("fixed-cidr");
    // `ip-masq` is for the default bridge alone.
    let (key, effect) = if is_off("ip-forward") && !forwards {
        ("ip-forward", "nothing passes packets on for them")
    } else if is_off("iptables") {
        ("iptables", "their packets leave with addresses that nobody outside can answer to")
    } else if is_off("ip-masq") && !bridged {
        ("ip-masq", "their packets leave with addresses that nobody outside can answer to")
    } else {
        return None;
    };
    let whom = if bridged { "containers on user-defined networks" } else { "inner containers" };
    Some(Warning::new(
        "inner-containers-cut-off",
        format!("{whom} do not reach the outer network: `{key}` is false, and {effect}"),
        format!("leave out `{key}`, unless rules or routes of yours take its place"),
    ))
}

/// The first engine with `ip6tables` on by default.
const IP6TABLES_BY_DEFAULT: u32 = 27;

/// The same for IPv6, where the user has settings for it and dind-net leaves it to him.
#[must_use]
pub fn warning6(config: &Map<String, Value>, args: &DaemonArgs, major: Option<u32>) -> Option<Warning> {
    let is =
        |key: &str, value: bool| config.get(key) == Some(&json!(value)) || args.agree(key, &json!(value));
    let by_default = major.is_none_or(|major| major >= IP6TABLES_BY_DEFAULT);
    let has_rules = is("ip6tables", true) || (by_default && !is("ip6tables", false));
    (is("ipv6", true) && !has_rules).then(|| {
        Warning::new(
            "inner-containers-cut-off",
            "`ipv6` is true without `ip6tables`: packets of inner containers leave with addresses that the outer network has \
             to have a route for",
            "set `ip6tables` (before version 27 with `experimental`), or leave out all settings of IPv6",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::args;
    use std::fs;

    #[test]
    fn ipv6_without_rules_is_named() {
        for (config, words, major, warned) in [
            (json!({"ipv6": true, "fixed-cidr-v6": "2001:db8::/64"}), "", 20, true),
            (json!({"ipv6": true}), "", 28, false),
            (json!({"ipv6": true, "ip6tables": false}), "", 28, true),
            (json!({"ipv6": true}), "--ip6tables", 20, false),
            (json!({"ipv6": true, "ip6tables": true}), "", 20, false),
            (json!({}), "--ipv6", 20, true),
            (json!({}), "", 20, false),
        ] {
            let found = warning6(config.as_object().unwrap(), &args::parse(words).unwrap(), Some(major));
            assert_eq!(found.is_some(), warned, "{config} {words} {major}");
        }
    }

    #[test]
    fn each_setting_is_named_with_whom_it_cuts_off() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        let file = directory.path().join(&FORWARDING[1..]);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        for (forwards, config, words, expected) in [
            ("1", json!({"iptables": false}), "", Some(("inner containers", "`iptables`"))),
            ("1", json!({}), "--iptables=false", Some(("inner containers", "`iptables`"))),
            ("1", json!({"ip-masq": false}), "", Some(("inner containers", "`ip-masq`"))),
            ("1", json!({"ip-masq": false, "fixed-cidr": "10.77.1.0/24"}), "", None),
            (
                "1",
                json!({"iptables": false, "fixed-cidr": "10.77.1.0/24"}),
                "",
                Some(("user-defined", "`iptables`")),
            ),
            ("1", json!({"iptables": false, "bridge": "none"}), "", None),
            ("1", json!({"ip-forward": false}), "", None),
            ("0", json!({"ip-forward": false}), "", Some(("inner containers", "`ip-forward`"))),
            ("0", json!({"iptables": true}), "--iptables --ip-masq", None),
        ] {
            fs::write(&file, forwards).unwrap();
            let found = warning(&root, config.as_object().unwrap(), &args::parse(words).unwrap());
            let message = found.map(|warning| warning.message);
            assert_eq!(message.is_some(), expected.is_some(), "{config} {words}: {message:?}");
            if let (Some(message), Some((whom, key))) = (message, expected) {
                assert!(message.contains(whom) && message.contains(key), "{message}");
            }
        }
    }
}
