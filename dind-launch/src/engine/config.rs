//! The engine's `daemon.json`: the settings that the tools found, overridden by the user's own file, without those that the
//! user sets by flags. dockerd refuses a setting that is in both places.

use super::args::{DaemonArgs, refuse_open_sockets, refuse_owned};
use crate::fault;
use dind_contract::{Engine, Fault, Warning};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::{fs, io};

/// Where Docker looks for the user's file.
const DEFAULT_FILE: &str = "/etc/docker/daemon.json";

/// The key of the storage driver.
const DRIVER: &str = "storage-driver";

/// The merged settings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Merged {
    /// What goes into the file.
    pub config: Map<String, Value>,
    /// Sockets that the user's file names: dockerd takes them as flags, beside ours.
    pub hosts: Vec<String>,
    /// One for each setting of a tool that the user overrides.
    pub warnings: Vec<Warning>,
}

/// The user's own `daemon.json`, if there is one.
///
/// # Errors
/// [`fault::DAEMON_JSON_INVALID`]: it cannot be read; those of [`parse`].
pub fn of_user(args: &DaemonArgs) -> Result<Map<String, Value>, Fault> {
    let named = args.config_file.as_deref();
    let file = named.unwrap_or(Path::new(DEFAULT_FILE));
    match fs::read_to_string(file) {
        Ok(text) => parse(&file.display().to_string(), &text),
        Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => Ok(Map::new()),
        Err(error) => {
            let fault = fault::DAEMON_JSON_INVALID.cannot("read", file.display(), error);
            Err(fault.hint("mount the file, or remove --config-file"))
        }
    }
}

/// Reads the user's file. `text` is its content, `name` its path.
///
/// # Errors
/// [`fault::DAEMON_JSON_INVALID`]: it is not a JSON object; those of [`refuse_owned`] and [`refuse_open_sockets`].
pub fn parse(name: &str, text: &str) -> Result<Map<String, Value>, Fault> {
    let hint = "the format is described at docs.docker.com/reference/cli/dockerd";
    let config: Map<String, Value> = serde_json::from_str(text)
        .map_err(|error| fault::DAEMON_JSON_INVALID.cannot("read", name, error).hint(hint))?;
    for key in config.keys() {
        refuse_owned(key, format_args!("`{key}` of `{name}`"))?;
    }
    let tls = config.get("tlsverify") == Some(&Value::Bool(true));
    refuse_open_sockets(&hosts(&config), tls)?;
    Ok(config)
}

fn hosts(config: &Map<String, Value>) -> Vec<String> {
    let list = config.get("hosts").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Merges the tools' fragments, the user's file, and what flags set. The later one wins.
#[must_use]
pub fn merge(fragments: &[&Engine], user: &Map<String, Value>, args: &DaemonArgs) -> Merged {
    let mut merged = Merged { hosts: hosts(user), ..Merged::default() };
    for (key, value) in fragments.iter().flat_map(|fragment| &fragment.config) {
        let winner = if args.keys.contains(key) {
            "DOCKER_DAEMON_ARGS"
        } else if user.contains_key(key) {
            "daemon.json"
        } else {
            merged.config.insert(key.clone(), value.clone());
            continue;
        };
        if user.get(key) != Some(value) {
            let message = format!("{winner} overrides `{key}`: the value for this container is {value}");
            let hint = "remove the setting unless it is intended";
            merged.warnings.push(Warning::new("setting-overridden", message, hint));
        }
    }
    let kept = user.iter().filter(|(key, _)| *key != "hosts" && !args.keys.contains(*key));
    merged.config.extend(kept.map(|(key, value)| (key.clone(), value.clone())));
    // An engine that keeps its images in containerd expects the name of a snapshotter here, and its default is `overlayfs`. For
    // an engine that does not know the feature, the default is `overlay2`.
    if keeps_images_in_containerd(user)
        && !user.contains_key(DRIVER)
        && merged.config.get(DRIVER) == Some(&json!("overlay2"))
    {
        merged.config.remove(DRIVER);
    }
    merged
}

/// Whether dockerd would switch forwarding on, with iptables and a policy of drop. It does unless one of these keys is set
/// (moby, `setupIPv4Forwarding`; `firewall-backend` came with engine 29).
#[must_use]
pub fn forwards(user: &Map<String, Value>, args: &DaemonArgs) -> bool {
    let keys = ["firewall-backend", "ip-forward", "ip-forward-no-drop", "iptables"];
    !keys.iter().any(|key| user.contains_key(*key) || args.keys.contains(*key))
}

/// See docs.docker.com/engine/storage/containerd.
fn keeps_images_in_containerd(user: &Map<String, Value>) -> bool {
    user.get("features").and_then(|features| features.get("containerd-snapshotter"))
        == Some(&Value::Bool(true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::args;

    #[test]
    fn the_later_one_wins_and_nothing_is_set_twice() {
        let mut storage = Engine::default();
        storage.set("data-root", "/var/lib/docker");
        storage.set("storage-driver", "overlay2");
        let mut net = Engine::default();
        net.set("mtu", 1400);
        net.set("bip", "172.18.0.1/16");
        let text = r#"{"mtu": 1300, "debug": true, "log-level": "warn", "hosts": ["unix:///run/b.sock"]}"#;
        let user = parse("/etc/docker/daemon.json", text).unwrap();
        let args = args::parse("--storage-driver=vfs -l debug").unwrap();
        let merged = merge(&[&storage, &net], &user, &args);
        let expected =
            json!({"bip": "172.18.0.1/16", "data-root": "/var/lib/docker", "debug": true, "mtu": 1300});
        assert_eq!(Value::Object(merged.config), expected);
        assert_eq!(merged.hosts, ["unix:///run/b.sock"]);
        assert_eq!(merged.warnings.len(), 2);
    }

    #[test]
    fn images_in_containerd_have_a_snapshotter_of_the_engine_s_choice() {
        let mut storage = Engine::default();
        storage.set(DRIVER, "overlay2");
        for (text, driver) in [
            (r#"{"features": {"containerd-snapshotter": true}}"#, None),
            (r#"{"features": {"containerd-snapshotter": false}}"#, Some("overlay2")),
            (r#"{"features": {"containerd-snapshotter": true}, "storage-driver": "native"}"#, Some("native")),
            (r#"{"features": {"buildkit": true}}"#, Some("overlay2")),
        ] {
            let merged = merge(&[&storage], &parse("x", text).unwrap(), &DaemonArgs::default());
            assert_eq!(merged.config.get(DRIVER).and_then(Value::as_str), driver, "{text}");
        }
    }

    #[test]
    fn forwarding_is_left_to_an_engine_with_a_setting_for_it() {
        for (text, args, ours) in [
            ("{}", "--debug", true),
            (r#"{"iptables": false}"#, "", false),
            (r#"{"ip-forward": false}"#, "", false),
            ("{}", "--ip-forward-no-drop", false),
            ("{}", "--firewall-backend nftables", false),
        ] {
            let args = args::parse(args).unwrap();
            assert_eq!(forwards(&parse("x", text).unwrap(), &args), ours, "{text} {args:?}");
        }
    }

    #[test]
    fn a_bad_file_is_refused() {
        for (text, code) in [
            ("{", fault::DAEMON_JSON_INVALID),
            ("[]", fault::DAEMON_JSON_INVALID),
            (r#"{"bip": "10.0.0.1/8"}"#, fault::DAEMON_ARG_OWNED),
            (r#"{"hosts": ["tcp://0.0.0.0:2375"]}"#, fault::DAEMON_ARG_UNSAFE),
        ] {
            assert_eq!(parse("x", text).unwrap_err().code, code, "{text}");
        }
    }
}
