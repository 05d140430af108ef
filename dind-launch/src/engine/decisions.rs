//! What the user's settings for the engine decide of storage and network, as variables of the tools: so they know it before
//! they plan anything.

use crate::fault;
use dind_contract::Fault;
use serde_json::{Map, Value, json};
use std::path::Path;

/// Reads a variable of our environment; one that is empty is unset.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Keys of which an empty value overrides nothing that the tools have found.
const EMPTY_IS_UNSET: [&str; 11] = [
    "bip",
    "bridge",
    "bridge-accept-fwmark",
    "data-root",
    ADDRESS_POOLS,
    "default-gateway",
    "dns",
    "firewall-backend",
    "fixed-cidr",
    "mtu",
    "storage-driver",
];

/// What user-defined networks are cut from.
pub(super) const ADDRESS_POOLS: &str = "default-address-pools";
/// Switches of the engine, one of which decides where it keeps its images (docs.docker.com/engine/storage/containerd).
pub(super) const FEATURES: &str = "features";
const CONTAINERD_STORE: &str = "containerd-snapshotter";
/// The same decision, of dind-storage.
pub(super) const STORE_VARIABLE: &str = "DIND_STORAGE_STORE";

/// The same, of dind-net.
pub(super) const POOLS_VARIABLE: &str = "DIND_NET_ADDRESS_POOLS";

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

/// Those that no graph driver has.
const SNAPSHOTTERS: [&str; 2] = ["overlayfs", "native"];

/// What dockerd takes as unset: people copy all keys of its manual, empty.
pub(super) fn is_unset(value: &Value) -> bool {
    value.is_null() || value == "" || value == &json!([]) || value == &json!(0)
}

pub(super) fn is_driver(name: &str) -> bool {
    DRIVERS.iter().any(|(known, _)| *known == name)
}

/// The variables for the tools. A value of the wrong type is left to dockerd.
pub(super) fn decide(
    config: &mut Map<String, Value>,
    environment: Environment<'_>,
) -> Result<Vec<(&'static str, String)>, Fault> {
    let mut variables = Variables { environment, decided: Vec::new() };
    if !config.contains_key("data-root")
        && let Some(graph) = config.remove("graph")
    {
        config.insert("data-root".to_owned(), graph);
    }
    for key in EMPTY_IS_UNSET {
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
    // Ours goes before it, as daemon.json does.
    let is_beaten = origin == "DOCKER_DRIVER" && (variables.environment)("DIND_STORAGE_DRIVER").is_some();
    if let (Some((_, driver)), false) = (driver, is_beaten) {
        variables.add("DIND_STORAGE_DRIVER", origin, driver, |ours| ours == "auto" || ours == *driver)?;
    }
    if let Some((setting, store)) = image_store(config) {
        variables.add(STORE_VARIABLE, setting, store, |ours| ours == store)?;
    }
    if let Some(directory) = text("data-root") {
        variables
            .add("DIND_DATA_ROOT", "data-root", directory, |ours| Path::new(ours) == Path::new(directory))?;
    }
    if let Some(bridge) = text("bridge") {
        variables.add("DIND_NET_BRIDGE", "bridge", bridge, |ours| ours == bridge)?;
    }
    // A bridged node has its address already; whether it is this one is seen when the network is planned.
    if let (Some(bip), None) = (text("bip"), (variables.environment)("DOCKER_NETWORK_OFFSET")) {
        variables.add("DIND_NET_BIP", "bip", bip, |ours| ours == bip)?;
    }
    if let Some(pools) = config.get(ADDRESS_POOLS).and_then(pool_words) {
        variables.add(POOLS_VARIABLE, ADDRESS_POOLS, &pools, |ours| {
            ours.split_whitespace().eq(pools.split_whitespace())
        })?;
    }
    // Another value is dockerd's to refuse.
    let backend = text("firewall-backend").filter(|backend| ["iptables", "nftables"].contains(backend));
    if let Some(backend) = backend {
        variables.add("DIND_NET_FIREWALL", "firewall-backend", backend, |ours| ours == backend)?;
    }
    // It is for a bridged node to know. Others may have it for packets of their own.
    let bridged = (variables.environment)("DOCKER_NETWORK_OFFSET").is_some();
    if let Some(mark) = text("bridge-accept-fwmark").filter(|_| bridged) {
        variables.add("DIND_NET_ACCEPT_FWMARK", "bridge-accept-fwmark", mark, |ours| ours == mark)?;
    }
    if let Some(mtu) = config.get("mtu").and_then(Value::as_u64) {
        let mtu = mtu.to_string();
        variables.add("DIND_NET_MTU", "mtu", &mtu, |ours| ours == mtu)?;
    }
    let dns = config.get("dns").and_then(Value::as_array).into_iter().flatten().map(Value::as_str);
    let dns: Option<Vec<&str>> = dns.collect();
    if let Some(dns) =
        dns.filter(|dns| config.contains_key("dns") && dns.iter().all(|server| is_reachable(server)))
    {
        variables.add("DIND_NET_DNS", "dns", &dns.join(","), |ours| {
            ours.split([',', ' ']).filter(|word| !word.is_empty()).eq(dns.iter().copied())
        })?;
    }
    Ok(variables.decided)
}

/// Whether the user wants the feature for images in containerd, or does not.
pub(super) fn containerd_feature(config: &Map<String, Value>) -> Option<bool> {
    config.get(FEATURES)?.get(CONTAINERD_STORE)?.as_bool()
}

/// Where the settings put the engine's images, and by which key. An engine that maps its containers' users has no other store than
/// the graph driver's (moby, daemon/command/daemon_linux.go).
fn image_store(config: &Map<String, Value>) -> Option<(&'static str, &'static str)> {
    let driver = config.get("storage-driver").and_then(Value::as_str);
    let maps_users = config.get("userns-remap").is_some_and(|user| !is_unset(user));
    match containerd_feature(config) {
        Some(true) => Some((FEATURES, "containerd")),
        Some(false) => Some((FEATURES, "graph")),
        None if maps_users => Some(("userns-remap", "graph")),
        None => driver.filter(|name| SNAPSHOTTERS.contains(name)).map(|_| ("storage-driver", "containerd")),
    }
}

/// Pools as dind-net takes them; nothing where dockerd would refuse them.
fn pool_words(pools: &Value) -> Option<String> {
    let word = |pool: &Value| {
        let base = format!("base={}", pool["base"].as_str()?);
        match &pool["size"] {
            Value::Null => Some(base),
            size => Some(format!("{base},size={}", size.as_u64()?)),
        }
    };
    let words: Option<Vec<_>> = pools.as_array()?.iter().map(word).collect();
    words.map(|words| words.join(" "))
}

/// A name server on loopback is not what inner containers get: dind-net finds one in its place.
fn is_reachable(server: &str) -> bool {
    server
        .parse::<std::net::IpAddr>()
        .is_ok_and(|address| !address.is_loopback() && !address.is_unspecified())
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
                .hint(format!(
                    "set one of the two: {variable}, or `{setting}` in daemon.json or DOCKER_DAEMON_ARGS"
                ))),
            // `auto` is no decision.
            Some(ours) if ours != "auto" => Ok(()),
            _ => {
                self.decided.push((variable, value.to_owned()));
                Ok(())
            }
        }
    }
}
