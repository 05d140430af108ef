//! What the user has set for the engine, in `daemon.json` and in `DOCKER_DAEMON_ARGS`: what goes to dockerd, and what decides
//! something of the node and so has to be known to the tools before they plan anything.
//!
//! What dockerd accepts is accepted, and what it does not know is dockerd's to refuse. Refused are values of settings that the
//! node makes itself, unless they equal its own.

use super::args::{DaemonArgs, refuse_open_sockets};
use super::user_file;
use crate::fault;
use crate::paths::{SOCKET, containerd_socket, pid_file};
use dind_contract::{Fault, Warning};
use dind_system::Root;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// Reads a variable of our environment; one that is empty is unset.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// dockerd's own default, which it keeps here.
const EXEC_ROOTS: [&str; 2] = ["/var/run/docker", "/run/docker"];

/// Storage drivers that dind-storage can prepare the data root for, with the names that an engine has for them which keeps
/// its images in containerd. Others are left to dockerd.
const DRIVERS: [(&str, &str); 8] = [
    ("overlay2", "overlay2"),
    ("aufs", "aufs"),
    ("btrfs", "btrfs"),
    ("zfs", "zfs"),
    ("fuse-overlayfs", "fuse-overlayfs"),
    ("vfs", "vfs"),
    ("overlayfs", "overlay2"),
    ("native", "vfs"),
];

/// The user's settings, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct UserSettings {
    /// Keys of `daemon.json`, from the file and from flags that are no words of [`DaemonArgs`].
    pub config: Map<String, Value>,
    /// Sockets beside the node's own.
    pub hosts: Vec<String>,
    /// Where dockerd writes its pid.
    pub pid_file: PathBuf,
    /// The same decisions as variables of the sibling tools.
    pub variables: Vec<(&'static str, String)>,
    /// What is set in both places.
    pub warnings: Vec<Warning>,
}

impl UserSettings {
    /// Reads them.
    ///
    /// # Errors
    /// Those of [`user_file::read`] and [`UserSettings::of`].
    pub fn read(root: &Root, args: &DaemonArgs) -> Result<Self, Fault> {
        Self::of(user_file::read(root, args)?, args, &variable)
    }

    /// Brings file, flags and variables together.
    ///
    /// # Errors
    /// [`fault::DAEMON_ARG_OWNED`], [`fault::DAEMON_ARG_UNSAFE`]; [`fault::SETTING_CONTRADICTS`]: a `DIND_…` variable says
    /// something else.
    pub fn of(
        file: Map<String, Value>,
        args: &DaemonArgs,
        environment: Environment<'_>,
    ) -> Result<Self, Fault> {
        let mut warnings = Vec::new();
        for key in args.settings.keys().chain(&args.keys) {
            let (in_file, flag) = (file.get(key), args.settings.get(key));
            if let Some(in_file) = in_file.filter(|in_file| Some(*in_file) != flag) {
                let message = format!("DOCKER_DAEMON_ARGS overrides `{key}`: daemon.json has {in_file}");
                warnings.push(Warning::new("setting-overridden", message, "set it in one place"));
            }
        }
        let mut config = file;
        config.retain(|key, _| !args.keys.contains(key));
        config.extend(args.settings.clone());
        let tls = args.tls || config.get("tlsverify") == Some(&Value::Bool(true));
        let mut hosts = take_hosts(&mut config);
        hosts.extend(args.hosts.iter().cloned());
        refuse_open_sockets(&hosts, tls)?;
        hosts.retain(|host| !is_own_socket(host));
        let pid_file = take_owned(&mut config)?;
        let variables = decide(&mut config, environment)?;
        Ok(Self { config, hosts, pid_file, variables, warnings })
    }

    /// A decision of the user's, by the variable of the tools: what we were given goes before.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<String> {
        let decided = self.variables.iter().find(|(known, _)| *known == name);
        decided.map(|(_, value)| value.clone()).or_else(|| variable(name))
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Sockets are flags for dockerd, beside ours. A value that is no list of texts stays: dockerd says what is wrong with it.
fn take_hosts(config: &mut Map<String, Value>) -> Vec<String> {
    let Some(Value::Array(list)) = config.get("hosts") else { return Vec::new() };
    let hosts: Option<Vec<String>> = list.iter().map(|host| host.as_str().map(str::to_owned)).collect();
    hosts.inspect(|_| _ = config.remove("hosts")).unwrap_or_default()
}

/// dockerd takes an empty address for its default, and /var/run is /run.
fn is_own_socket(host: &str) -> bool {
    let path = host.strip_prefix("unix://").unwrap_or(host);
    path.is_empty() || path == SOCKET || Path::new("/var").join(path.trim_start_matches('/')) == Path::new(SOCKET)
}

/// Takes out what the node sets itself, where it is the same. Returns the pid file.
fn take_owned(config: &mut Map<String, Value>) -> Result<PathBuf, Fault> {
    let socket = containerd_socket().display().to_string();
    let hint = "the launcher starts containerd itself";
    take(config, "containerd", &|value| value == &json!(socket), hint)?;
    let hint = "the launcher cleans it up after a crash and has to know it";
    take(config, "exec-root", &|value| EXEC_ROOTS.iter().any(|path| value == path), hint)?;
    let hint = "inner containers end with their engine here";
    take(config, "live-restore", &|value| value == &json!(false), hint)?;
    let pid = config.get("pidfile").and_then(Value::as_str).filter(|path| !path.is_empty()).map(PathBuf::from);
    if config.get("pidfile").is_none_or(|value| value.is_string() || value.is_null()) {
        config.remove("pidfile");
    }
    Ok(pid.unwrap_or_else(pid_file))
}

fn take(
    config: &mut Map<String, Value>,
    key: &str,
    is_ours: &dyn Fn(&Value) -> bool,
    hint: &str,
) -> Result<(), Fault> {
    match config.remove(key) {
        None => Ok(()),
        Some(value) if is_ours(&value) || is_unset(&value) => Ok(()),
        Some(value) => Err(owned(key, &value, hint)),
    }
}

fn is_unset(value: &Value) -> bool {
    value.is_null() || value == ""
}

/// A setting of the node's own that the user wants otherwise.
pub(super) fn owned(key: &str, value: impl std::fmt::Display, hint: &str) -> Fault {
    fault::DAEMON_ARG_OWNED
        .failed(format_args!("cannot pass `{key}` {value} to dockerd"), "the node sets it itself")
        .hint(hint)
}

/// The variables for the tools. A value of the wrong type is left to dockerd.
fn decide(
    config: &mut Map<String, Value>,
    environment: Environment<'_>,
) -> Result<Vec<(&'static str, String)>, Fault> {
    let mut variables = Variables { environment, decided: Vec::new() };
    if !config.contains_key("data-root")
        && let Some(graph) = config.remove("graph")
    {
        config.insert("data-root".to_owned(), graph);
    }
    for key in ["bip", "bridge", "data-root", "default-gateway", "fixed-cidr", "storage-driver"] {
        if config.get(key).is_some_and(is_unset) {
            config.remove(key);
        }
    }
    if config.get("bridge") == Some(&json!("docker0")) {
        config.remove("bridge");
    }
    let text = |key: &str| config.get(key).and_then(Value::as_str);
    // Without a setting, dockerd takes this one.
    let (driver, origin) = match text("storage-driver") {
        Some(driver) => (Some(driver.to_owned()), "storage-driver"),
        None => ((variables.environment)("DOCKER_DRIVER"), "DOCKER_DRIVER"),
    };
    let driver = driver.and_then(|name| DRIVERS.iter().find(|(known, _)| *known == name));
    if let Some((_, driver)) = driver {
        if origin == "DOCKER_DRIVER" && (variables.environment)("DIND_STORAGE_DRIVER").is_some() {
            // Ours goes before it, as daemon.json does.
        } else {
            variables.add("DIND_STORAGE_DRIVER", origin, driver, |ours| ours == "auto" || ours == *driver)?;
        }
    }
    if let Some(directory) = text("data-root") {
        variables.add("DIND_DATA_ROOT", "data-root", directory, |ours| Path::new(ours) == Path::new(directory))?;
    }
    if let Some(bridge) = text("bridge") {
        variables.add("DIND_NET_BRIDGE", "bridge", bridge, |ours| ours == bridge)?;
    }
    // A bridged node has its address already; whether it is this one is seen when the network is planned.
    if let (Some(bip), None) = (text("bip"), (variables.environment)("DOCKER_NETWORK_OFFSET")) {
        variables.add("DIND_NET_BIP", "bip", bip, |ours| ours == bip)?;
    }
    // 0 is dockerd's default.
    if let Some(mtu) = config.get("mtu").and_then(Value::as_u64).filter(|mtu| *mtu > 0) {
        let mtu = mtu.to_string();
        variables.add("DIND_NET_MTU", "mtu", &mtu, |ours| ours == mtu)?;
    }
    let dns = config.get("dns").and_then(Value::as_array).into_iter().flatten().map(Value::as_str);
    let dns: Option<Vec<&str>> = dns.collect();
    if let Some(dns) = dns.filter(|dns| !dns.is_empty() && dns.iter().all(|server| is_reachable(server))) {
        variables.add("DIND_NET_DNS", "dns", &dns.join(","), |ours| {
            ours.split([',', ' ']).filter(|word| !word.is_empty()).eq(dns.iter().copied())
        })?;
    }
    Ok(variables.decided)
}

/// A name server on loopback is not what inner containers get: dind-net finds one in its place.
fn is_reachable(server: &str) -> bool {
    server.parse::<std::net::IpAddr>().is_ok_and(|address| !address.is_loopback() && !address.is_unspecified())
}

struct Variables<'a> {
    environment: Environment<'a>,
    decided: Vec<(&'static str, String)>,
}

impl Variables<'_> {
    /// Adds one, unless the environment has it already.
    fn add(
        &mut self,
        variable: &'static str,
        setting: &str,
        value: &str,
        is_same: impl Fn(&str) -> bool,
    ) -> Result<(), Fault> {
        match (self.environment)(variable) {
            Some(ours) if !is_same(&ours) => Err(fault::SETTING_CONTRADICTS
                .failed(
                    format_args!("cannot use `{setting}` {value} for the engine"),
                    format_args!("{variable} is {ours}"),
                )
                .hint(format!("set one of the two: {variable}, or `{setting}` in daemon.json or DOCKER_DAEMON_ARGS"))),
            // `auto` is no decision.
            Some(ours) if ours != "auto" => Ok(()),
            _ => {
                self.decided.push((variable, value.to_owned()));
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::args;

    fn settings(file: Value, flags: &str, environment: &[(&str, &str)]) -> Result<UserSettings, Fault> {
        let environment = |name: &str| {
            environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let file = file.as_object().cloned().unwrap_or_default();
        UserSettings::of(file, &args::parse(flags).unwrap(), &environment)
    }

    #[test]
    fn values_that_equal_our_own_pass() {
        let file = json!({
            "containerd": "/run/dind/containerd.sock", "exec-root": "/var/run/docker", "live-restore": false,
            "hosts": ["unix:///var/run/docker.sock", "unix:///run/docker.sock", "unix://", ""], "bridge": "docker0",
            "bip": "", "iptables": true, "no-such-key": 1,
        });
        let found = settings(file, "--exec-root /run/docker --live-restore=false -b docker0", &[]).unwrap();
        assert_eq!(Value::Object(found.config), json!({"iptables": true, "no-such-key": 1}));
        assert_eq!((found.hosts, found.variables, found.pid_file), (vec![], vec![], pid_file()));
        let found = settings(json!({"pidfile": "/run/mine.pid"}), "", &[]).unwrap();
        assert_eq!(found.pid_file, Path::new("/run/mine.pid"));
        let found = settings(json!({"hosts": "unix:///x"}), "", &[]).unwrap();
        assert_eq!(found.config["hosts"], "unix:///x", "dockerd says that it wants a list");
    }

    #[test]
    fn values_that_the_node_cannot_have_are_refused_by_name() {
        for (file, flags) in [
            (json!({"containerd": "/run/containerd/containerd.sock"}), ""),
            (json!({"exec-root": "/x"}), ""),
            (json!({"live-restore": true}), ""),
            (json!({}), "--live-restore"),
            (json!({}), "--exec-root=/x"),
        ] {
            let fault = settings(file.clone(), flags, &[]).unwrap_err();
            assert_eq!(fault.code, fault::DAEMON_ARG_OWNED, "{file} {flags}");
            assert!(!fault.hint.is_empty());
        }
        let open = settings(json!({"hosts": ["tcp://0.0.0.0:2375"]}), "", &[]);
        assert_eq!(open.unwrap_err().code, fault::DAEMON_ARG_UNSAFE);
        assert!(settings(json!({"tlsverify": true}), "-H tcp://0.0.0.0:2376", &[]).is_ok());
    }

    #[test]
    fn what_decides_storage_and_network_is_known_to_the_tools() {
        let file = json!({
            "storage-driver": "vfs", "data-root": "/srv/d", "mtu": 1400, "dns": ["9.9.9.9", "8.8.8.8"], "bip": "10.9.0.1/16",
        });
        let expected = [
            ("DIND_STORAGE_DRIVER", "vfs"),
            ("DIND_DATA_ROOT", "/srv/d"),
            ("DIND_NET_BIP", "10.9.0.1/16"),
            ("DIND_NET_MTU", "1400"),
            ("DIND_NET_DNS", "9.9.9.9,8.8.8.8"),
        ]
        .map(|(name, value)| (name, value.to_owned()));
        let flags = "-s vfs -g /srv/d --mtu 1400 --dns 9.9.9.9 --dns 8.8.8.8 --bip 10.9.0.1/16";
        assert_eq!(settings(file.clone(), "", &[]).unwrap().variables, expected);
        assert_eq!(settings(json!({}), flags, &[]).unwrap().variables, expected);
        let bridged = settings(file, "", &[("DOCKER_NETWORK_OFFSET", "auto")]).unwrap();
        assert!(bridged.variables.iter().all(|(name, _)| *name != "DIND_NET_BIP"));
        let of = |file| settings(file, "", &[]).unwrap().variables;
        assert_eq!(of(json!({"bridge": "none", "iptables": false})), [("DIND_NET_BRIDGE", "none".to_owned())]);
        assert_eq!(of(json!({"storage-driver": "native"})), [("DIND_STORAGE_DRIVER", "vfs".to_owned())]);
        // Left to dockerd: a driver that only it knows, a loopback server, the wrong type, the default.
        assert_eq!(of(json!({"storage-driver": "devicemapper", "dns": ["127.0.0.1"], "mtu": "1400", "bip": 5})), []);
        assert_eq!(of(json!({"mtu": 0, "dns": [], "data-root": null})), []);
        let gitlab = settings(json!({}), "", &[("DOCKER_DRIVER", "vfs")]).unwrap();
        assert_eq!(gitlab.variables, [("DIND_STORAGE_DRIVER", "vfs".to_owned())]);
    }

    #[test]
    fn a_contradiction_is_refused_and_agreement_is_not() {
        for (file, environment) in [
            (json!({"storage-driver": "vfs"}), ("DIND_STORAGE_DRIVER", "overlay2")),
            (json!({"data-root": "/srv/d"}), ("DIND_DATA_ROOT", "/srv/e")),
            (json!({"bridge": "none"}), ("DIND_NET_BRIDGE", "br0")),
            (json!({"mtu": 1400}), ("DIND_NET_MTU", "1500")),
            (json!({"dns": ["9.9.9.9"]}), ("DIND_NET_DNS", "8.8.8.8")),
        ] {
            let fault = settings(file.clone(), "", &[environment]).unwrap_err();
            assert_eq!(fault.code, fault::SETTING_CONTRADICTS, "{file}");
            assert!(fault.message.contains(environment.0), "{fault}");
        }
        for (file, environment) in [
            (json!({"storage-driver": "vfs"}), ("DIND_STORAGE_DRIVER", "vfs")),
            (json!({"data-root": "/srv/d/"}), ("DIND_DATA_ROOT", "/srv/d")),
            (json!({"dns": ["9.9.9.9", "8.8.8.8"]}), ("DIND_NET_DNS", "9.9.9.9 8.8.8.8")),
            (json!({}), ("DIND_STORAGE_DRIVER", "vfs")),
        ] {
            assert_eq!(settings(file.clone(), "", &[environment]).unwrap().variables, [], "{file}");
        }
        let auto = settings(json!({"storage-driver": "vfs"}), "", &[("DIND_STORAGE_DRIVER", "auto")]).unwrap();
        assert_eq!(auto.variables, [("DIND_STORAGE_DRIVER", "vfs".to_owned())]);
    }

    #[test]
    fn what_is_set_in_two_places_is_named_and_the_flag_wins() {
        let found =
            settings(json!({"log-level": "warn", "mtu": 1300, "debug": true}), "-l debug --mtu=1400", &[]).unwrap();
        assert_eq!(Value::Object(found.config), json!({"mtu": 1400, "debug": true}));
        let messages: Vec<_> = found.warnings.iter().map(|warning| warning.message.as_str()).collect();
        let both = |key: &str, value: &str| format!("DOCKER_DAEMON_ARGS overrides `{key}`: daemon.json has {value}");
        assert_eq!(messages, [both("mtu", "1300"), both("log-level", "\"warn\"")]);
    }
}
