//! The engine's `daemon.json`: the settings that the tools found, overridden by what the user has set, without those that the
//! user sets by flags. dockerd refuses a setting that is in both places.

use super::args::DaemonArgs;
use super::decisions::{ADDRESS_POOLS, FEATURES, POOLS_VARIABLE, containerd_feature, is_unset};
use super::user_settings::{UserSettings, owned};
use dind_contract::{Engine, Fault, Warning};
use serde_json::{Map, Value, json};
use std::path::Path;

/// The key of the storage driver.
const DRIVER: &str = "storage-driver";

/// The key of the options for it.
const OPTIONS: &str = "storage-opts";

/// The key of the users that inner containers' root is mapped to. It moves the engine's data (moby, `daemon/daemon_unix.go`,
/// `setupRemappedRoot`).
const REMAP: &str = "userns-remap";

/// Keys that the tools have decided where they set them, each with the reason. The user may set the same value.
const DECIDED: &[(&str, &str)] = &[
    ("bip", "the network is dind-net's: use DOCKER_NETWORK_OFFSET for a bridged node"),
    ("bridge", "the network is dind-net's: use DIND_NET_BRIDGE"),
    ("data-root", "use DIND_DATA_ROOT"),
    ("default-gateway", "the network is dind-net's: a bridged node has the gateway of the outer network"),
    ("fixed-cidr", "the network is dind-net's: use DOCKER_NETWORK_OFFSET and DOCKER_NETWORK_SIZE"),
];

/// The merged settings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Merged {
    /// What goes into the file.
    pub config: Map<String, Value>,
    /// One for each setting of a tool that the user overrides, and for each that the user has made twice.
    pub warnings: Vec<Warning>,
}

/// Merges the tools' fragments, the user's settings, and what flags set. The later one wins.
///
/// # Errors
/// [`crate::fault::DAEMON_ARG_OWNED`]: the user wants another value of what the tools have decided.
pub fn merge(fragments: &[&Engine], user: &UserSettings, args: &DaemonArgs) -> Result<Merged, Fault> {
    let mut merged = Merged { warnings: user.warnings.clone(), ..Merged::default() };
    let mut settings = user.config.clone();
    // dind-net has the user's, and adds one of IPv6.
    if user.variable(POOLS_VARIABLE).is_some()
        && fragments.iter().any(|it| it.config.contains_key(ADDRESS_POOLS))
    {
        settings.remove(ADDRESS_POOLS);
    }
    for (key, value) in fragments.iter().flat_map(|fragment| &fragment.config) {
        if let (Some(theirs), Some((_, hint))) =
            (settings.get(key), DECIDED.iter().find(|(decided, _)| decided == key))
        {
            if !is_same(theirs, value) {
                return Err(owned(key, theirs, hint).cause(format!("the node needs {value}")));
            }
            settings.remove(key);
        }
        if let (FEATURES, Some(Value::Object(theirs)), Value::Object(ours)) =
            (key.as_str(), settings.get_mut(key), value)
        {
            ours.iter().for_each(|(name, value)| _ = theirs.entry(name).or_insert_with(|| value.clone()));
            continue;
        }
        let winner = if args.keys.contains(key) {
            "a flag of dockerd"
        } else if settings.contains_key(key) {
            "the user's setting"
        } else {
            merged.config.insert(key.clone(), value.clone());
            continue;
        };
        if settings.get(key) != Some(value) {
            let message = format!("{winner} overrides `{key}`: the value for this container is {value}");
            let hint = "remove the setting unless it is intended";
            merged.warnings.push(Warning::new("setting-overridden", message, hint));
        }
    }
    merged.config.extend(settings);
    Ok(merged)
}

/// A slash at the end of a directory is no difference.
fn is_same(one: &Value, other: &Value) -> bool {
    let paths = || Some(Path::new(one.as_str()?) == Path::new(other.as_str()?));
    one == other || paths() == Some(true)
}

/// The warning that the engine will not see the images of the seeds that `dind-storage` has brought, with these settings.
#[must_use]
pub fn seed_not_used(storage: &Value, merged: &Map<String, Value>, args: &DaemonArgs) -> Option<Warning> {
    storage.get("seeds")?.as_array().filter(|seeds| !seeds.is_empty())?;
    let remap = merged.get(REMAP).is_some_and(|user| user != "") || args.keys.contains(REMAP);
    let (why, hint) = if merged.get(DRIVER).is_none_or(|driver| driver != "overlay2") {
        ("the engine's storage driver is not overlay2", "leave `storage-driver` out")
    } else if remap {
        (
            "with `userns-remap`, the engine keeps its images in a directory of their own",
            "leave `userns-remap` out",
        )
    } else {
        return None;
    };
    Some(Warning::new("seed-not-used", format!("the images of DIND_STORAGE_SEED are not there: {why}"), hint))
}

/// The warning that the engine reads none of the options for a storage driver: containerd's image store has no drivers, and dockerd
/// starts as if there were none (moby, daemon/daemon.go, `GraphDriverOptions`).
#[must_use]
pub fn storage_options_unread(merged: &Map<String, Value>, args: &DaemonArgs) -> Option<Warning> {
    let set = merged.get(OPTIONS).is_some_and(|options| !is_unset(options)) || args.keys.contains(OPTIONS);
    (set && containerd_feature(merged) == Some(true)).then(|| {
        Warning::new(
            "setting-ignored",
            "the engine ignores `storage-opts`, which are for graph drivers: it keeps its images in containerd",
            "leave them out, or set DIND_STORAGE_STORE=graph, which does not show images that are in containerd",
        )
    })
}

/// Whether forwarding is switched on ahead of dockerd: it does the same itself with iptables (moby, `setupIPv4Forwarding`), and
/// with nftables does not start where it is off. Not where one of these is set otherwise than dockerd has it by default.
#[must_use]
pub fn forwards(user: &UserSettings, args: &DaemonArgs) -> bool {
    let default = [("ip-forward", true), ("ip-forward-no-drop", false), ("iptables", true)];
    default.iter().all(|(key, value)| {
        let set = user.config.contains_key(*key) || args.keys.contains(*key);
        !set || user.config.get(*key) == Some(&json!(value)) || args.agree(key, &json!(value))
    })
}

/// Whether IPv6 is set up by the user, or cannot be by us: before engine 27 there are no rules for it without `experimental`.
#[must_use]
pub fn has_ipv6(user: &UserSettings, args: &DaemonArgs) -> bool {
    let keys = ["bip6", "default-gateway-v6", "fixed-cidr-v6", "ip6tables", "ipv6"];
    let set = |key: &str| user.config.contains_key(key) || args.keys.contains(key);
    let off = |key: &str| user.config.get(key) == Some(&Value::Bool(false));
    keys.into_iter().any(set) || off("experimental") || off("iptables")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::args;
    use crate::fault;

    fn user(file: Value, args: &DaemonArgs) -> UserSettings {
        UserSettings::of(file.as_object().cloned().unwrap(), args, &|_| None).unwrap()
    }

    fn engine(config: &Value) -> Engine {
        Engine { config: config.as_object().cloned().unwrap(), ..Engine::default() }
    }

    #[test]
    fn the_later_one_wins_and_nothing_is_set_twice() {
        let storage = engine(&json!({"data-root": "/var/lib/docker", "storage-driver": "overlay2"}));
        let net = engine(&json!({"mtu": 1400, "bip": "172.18.0.1/16", "userland-proxy": true}));
        let args = args::parse("--storage-driver=devicemapper --userland-proxy=false").unwrap();
        let file = json!({"mtu": 1300, "debug": true, "data-root": "/var/lib/docker/"});
        let merged = merge(&[&storage, &net], &user(file, &args), &args).unwrap();
        let expected = json!({
            "bip": "172.18.0.1/16", "data-root": "/var/lib/docker", "debug": true, "mtu": 1300, "storage-driver": "devicemapper",
        });
        assert_eq!(Value::Object(merged.config), expected);
        assert_eq!(merged.warnings.len(), 3, "{:?}", merged.warnings);
    }

    #[test]
    fn what_a_bridged_node_has_decided_may_be_set_to_the_same() {
        let net = engine(
            &json!({"bip": "10.1.0.5/16", "fixed-cidr": "10.1.1.0/24", "default-gateway": "10.1.0.1"}),
        );
        let none = DaemonArgs::default();
        for (file, accepted) in [
            (json!({"bip": "10.1.0.5/16", "fixed-cidr": "10.1.1.0/24"}), true),
            (json!({"bip": "10.1.0.6/16"}), false),
            (json!({"fixed-cidr": "10.1.2.0/24"}), false),
        ] {
            let merged = merge(&[&net], &user(file.clone(), &none), &none);
            assert_eq!(merged.is_ok(), accepted, "{file}");
            assert!(merged.is_ok_and(|merged| merged.warnings.is_empty()) || !accepted, "{file}");
        }
        let refused = merge(&[&net], &user(json!({"bip": "10.1.0.6/16"}), &none), &none).unwrap_err();
        assert_eq!(refused.code, fault::DAEMON_ARG_OWNED);
    }

    #[test]
    fn a_seed_that_the_engine_does_not_see_is_told() {
        let none = DaemonArgs::default();
        let seeds = json!({"seeds": [{"path": "/seed"}]});
        let warned = |storage: &Value, config: Value, args: &DaemonArgs| {
            seed_not_used(storage, config.as_object().unwrap(), args).map(|warning| warning.message)
        };
        let plain = json!({"storage-driver": "overlay2"});
        assert_eq!(warned(&seeds, plain.clone(), &none), None);
        assert_eq!(warned(&json!({}), json!({}), &none), None);
        for (config, why) in [
            (json!({"storage-driver": "vfs"}), "not overlay2"),
            (json!({"storage-driver": "overlay2", "userns-remap": "default"}), "userns-remap"),
        ] {
            let message = warned(&seeds, config, &none).unwrap();
            assert!(message.contains(why), "{message}");
        }
        let flag = args::parse("--userns-remap=default").unwrap();
        assert!(warned(&seeds, plain, &flag).is_some());
    }

    #[test]
    fn options_of_a_driver_that_the_engine_does_not_read_are_reported() {
        let none = DaemonArgs::default();
        let flag = args::parse("--storage-opt overlay2.size=1G").unwrap();
        let options = json!(["overlay2.size=1G"]);
        for (settings, args, warned) in [
            (json!({"storage-opts": options, "features": {"containerd-snapshotter": true}}), &none, true),
            (json!({"features": {"containerd-snapshotter": true}}), &flag, true),
            (json!({"storage-opts": [], "features": {"containerd-snapshotter": true}}), &none, false),
            (json!({"storage-opts": options, "features": {"containerd-snapshotter": false}}), &none, false),
            (json!({"storage-opts": options, "storage-driver": "overlay2"}), &none, false),
        ] {
            let warning = storage_options_unread(settings.as_object().unwrap(), args);
            assert_eq!(warning.is_some(), warned, "{settings}");
        }
    }

    #[test]
    fn features_of_the_user_and_of_the_image_store_are_merged_and_the_user_s_win() {
        let storage =
            engine(&json!({"storage-driver": "overlayfs", "features": {"containerd-snapshotter": true}}));
        let none = DaemonArgs::default();
        let flag = args::parse("--feature cdi=false --feature=buildkit").unwrap();
        for (file, args, features) in [
            (json!({}), &none, json!({"containerd-snapshotter": true})),
            (json!({"features": {"cdi": true}}), &none, json!({"cdi": true, "containerd-snapshotter": true})),
            (
                json!({"features": {"containerd-snapshotter": false}}),
                &none,
                json!({"containerd-snapshotter": false}),
            ),
            (
                json!({"features": {"events": true}}),
                &flag,
                json!({"buildkit": true, "cdi": false, "containerd-snapshotter": true, "events": true}),
            ),
        ] {
            let merged = merge(&[&storage], &user(file.clone(), args), args).unwrap();
            assert_eq!(merged.config["features"], features, "{file}");
            assert_eq!(merged.warnings, [], "{file}");
        }
    }

    #[test]
    fn forwarding_is_left_to_an_engine_with_a_setting_for_it() {
        for (file, args, ours) in [
            (json!({}), "--debug", true),
            (json!({"iptables": false}), "", false),
            (json!({"ip-forward": false}), "", false),
            (json!({}), "--ip-forward-no-drop", false),
            (json!({"ip-forward": true, "iptables": true}), "--ip-forward-no-drop=false", true),
            (json!({}), "--iptables=false", false),
            (json!({}), "--firewall-backend nftables", true),
        ] {
            let args = args::parse(args).unwrap();
            assert_eq!(forwards(&user(file.clone(), &args), &args), ours, "{file} {args:?}");
        }
    }

    #[test]
    fn ipv6_is_left_to_a_user_with_settings_for_it() {
        for (file, args, theirs) in [
            (json!({}), "--debug", false),
            (json!({"experimental": true, "iptables": true}), "", false),
            (json!({"ipv6": true, "fixed-cidr-v6": "2001:db8::/64"}), "", true),
            (json!({"ipv6": false}), "", true),
            (json!({"experimental": false}), "", true),
            (json!({"iptables": false}), "", true),
            (json!({}), "--ip6tables", true),
        ] {
            let args = args::parse(args).unwrap();
            assert_eq!(has_ipv6(&user(file.clone(), &args), &args), theirs, "{file} {args:?}");
        }
    }
}
