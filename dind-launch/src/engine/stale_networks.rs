//! dockerd's record of its networks, which outlives the network namespace that it describes.
//!
//! A container that starts again has a new network namespace. dockerd does not know that: it creates the networks of its
//! record again, deletes the old endpoints and sandboxes one by one, and at last deletes its default bridge, to create it a
//! second time (moby, daemon/daemon_unix.go, "Clear stale bridge network"). Deleted rules of iptables wait for an RCU grace
//! period each, so that a start after a kill takes nearly twice as long as the first one.
//!
//! So a record that can only be stale is removed, as an administrator would, and dockerd begins a new one. The record is
//! dockerd's own database: nothing is written into it, and one that holds a user network, or is not fully understood, is left
//! to dockerd.

use dind_system::Root;
use dind_system::boltdb::{self, Pair};
use dind_system::docker_networks::{FILE, INDEX, Network, PREFIX, networks, value, words};
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, File};
use std::io;
use std::path::Path;

/// The network interfaces of this network namespace, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Links(pub Vec<String>);

impl Links {
    /// Reads the present ones; none where they cannot be read.
    #[must_use]
    pub fn read(root: &Root) -> Self {
        let text = root.read("/proc/net/dev").unwrap_or_default();
        Self(text.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned())).collect())
    }
}

/// Whether [`remove`] would remove the record below this data root. Where it cannot be read, it stays.
#[must_use]
pub fn will_be_removed(data_root: &Path, links: &Links) -> bool {
    fs::read(data_root.join(FILE)).is_ok_and(|file| is_stale_file(&file, links))
}

/// Removes the record below this data root if it is stale. `links` are those that existed before the node changed anything.
/// Returns whether it was removed.
///
/// # Errors
/// Those of reading and removing it; `EWOULDBLOCK` where an engine has it open.
pub fn remove(data_root: &Path, links: &Links) -> io::Result<bool> {
    let path = data_root.join(FILE);
    let file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        opened => opened?,
    };
    // dockerd holds the same lock while it reads and writes; no other node runs here, see `data_root_lock`.
    let _lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno)?;
    let stale = is_stale_file(&fs::read(&path)?, links);
    if stale {
        fs::remove_file(&path)?;
    }
    Ok(stale)
}

/// Whether the file of a record, whatever bytes it has, describes nothing but the default networks of an old namespace.
#[must_use]
pub fn is_stale_file(file: &[u8], links: &Links) -> bool {
    boltdb::read(file).is_some_and(|record| is_stale(&record, links))
}

/// Whether a record describes nothing but the default networks of an old namespace: it holds no user network, and its default
/// bridge is not among the links.
#[must_use]
pub fn is_stale(record: &[Pair], links: &Links) -> bool {
    let Some(networks) = networks(record) else { return false };
    let default = networks.iter().find(|network| network.name == "bridge");
    let bridge = default.and_then(|network| bridge(record, network));
    // Every namespace has `lo`: where there are no links, they could not be read.
    let gone = bridge.is_some_and(|bridge| !links.0.is_empty() && !links.0.contains(&bridge));
    let own = !networks.iter().any(Network::is_user_defined);
    gone && own && record.iter().all(|pair| is_of(pair, &networks))
}

/// The name of a network's bridge.
fn bridge(record: &[Pair], network: &Network) -> Option<String> {
    let key = format!("{PREFIX}bridge/{}/", network.id).into_bytes();
    let settings = value(record.iter().find(|(other, _)| *other == key)?)?;
    settings["BridgeName"].as_str().map(str::to_owned)
}

/// Whether a pair belongs to one of these networks, or to something that does not outlive its namespace.
fn is_of(pair: &Pair, networks: &[Network]) -> bool {
    match words(pair).as_deref() {
        // A directory.
        Some([] | [_]) => pair.1.len() <= INDEX,
        Some(["sandbox" | "endpoint", ..]) => true,
        // Of the drivers: `bridge-endpoint`, `macvlan-endpoint`, and their like.
        Some([kind, ..]) if kind.ends_with("-endpoint") => true,
        Some([_, id, ..]) => networks.iter().any(|network| network.id == *id),
        None => false,
    }
}
