//! dockerd's record of its networks: before the engine's first start, and after the network namespace that it speaks of has
//! gone.
//!
//! A new data root gets the record of an engine that has made its first two networks (`first`).
//!
//! A container that starts again has a new network namespace. dockerd does not know that: it makes the networks of its record
//! anew, deletes the endpoints and sandboxes of an earlier life one by one, and at last deletes its default bridge, to make it a
//! second time (moby, daemon/daemon_unix.go, "Clear stale bridge network"). Deleted rules of iptables wait for an RCU grace
//! period each, so that a start after a kill takes nearly twice as long as the first one. So what can only be stale is left out
//! of the record before dockerd reads it. User networks stay.
//!
//! A record that is not understood stays as it is, and dockerd does what it always did.

mod first;

use super::boltdb::{self, Database, Pair};
use dind_system::Root;
use nix::fcntl::{Flock, FlockArg};
use serde_json::Value;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::path::Path;

/// Where the record lies below the data root.
const FILE: &str = "network/files/local-kv.db";

/// What all keys of the record begin with (moby, libnetwork/datastore). They end with a slash.
const PREFIX: &str = "docker/network/v1.0/";

/// Before the JSON of a value stands the number of its last change.
const INDEX: usize = 8;

/// The network interfaces of this network namespace, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Links(Vec<String>);

impl Links {
    /// Those that there are now.
    #[must_use]
    pub fn now(root: &Root) -> Self {
        let text = root.read("/proc/net/dev").unwrap_or_default();
        Self(text.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned())).collect())
    }
}

/// Begins the record below this data root if no engine has been there, as of the node's start (milliseconds of Unix time).
/// Otherwise leaves out of it what is stale, if its default bridge is none of the links that there were when the node began.
/// Returns whether anything has changed.
///
/// # Errors
/// Those of reading and writing the record, which stays as it was.
pub fn settle(data_root: &Path, links: &Links, started: u64) -> io::Result<bool> {
    let path = data_root.join(FILE);
    let file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return first::begin(data_root, started),
        opened => opened?,
    };
    // As dockerd does: nobody else has the record now.
    let file = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno)?;
    let Some(fresh) = boltdb::read(&fs::read(&path)?).and_then(|record| renewed(record, links)) else {
        return Ok(false);
    };
    // User networks are at stake: what would be read otherwise than it was meant is not written.
    let written = boltdb::write(&fresh).filter(|bytes| boltdb::read(bytes).as_ref() == Some(&fresh));
    let Some(bytes) = written else { return Ok(false) };
    replace(&path, &bytes, file.metadata()?.permissions()).map(|()| true)
}

/// Puts a whole file in the place of another one, or of none.
fn replace(path: &Path, bytes: &[u8], permissions: Permissions) -> io::Result<()> {
    let next = path.with_extension("next");
    let replace = || {
        let mut copy = File::create(&next)?;
        copy.set_permissions(permissions)?;
        copy.write_all(bytes)?;
        // Before the name, so that there is a whole record under it whenever the power goes.
        copy.sync_all()?;
        fs::rename(&next, path)
    };
    let replaced = replace();
    if replaced.is_err() {
        let _ = fs::remove_file(&next);
    }
    replaced
}

/// The record without what is stale. None: nothing is, or it cannot be told.
fn renewed(record: Database, links: &Links) -> Option<Database> {
    let (default, bridge) = default_network(&record.pairs)?;
    // There is always `lo`: without it, nobody could tell us.
    if links.0.is_empty() || links.0.contains(&bridge) {
        return None;
    }
    let pairs = record.pairs.into_iter().filter_map(|pair| kept(pair, &default)).collect();
    Some(Database { pairs, ..record })
}

/// The id of dockerd's default network, and the name of its bridge.
fn default_network(pairs: &[Pair]) -> Option<(String, String)> {
    let of = |kind: &'static str| {
        let prefix = format!("{PREFIX}{kind}/");
        pairs.iter().filter(move |(key, _)| key.starts_with(prefix.as_bytes()) && key.len() > prefix.len())
    };
    let value = |(_, value): &Pair| serde_json::from_slice::<Value>(value.get(INDEX..)?).ok();
    let network = of("network").filter_map(value).find(|network| network["name"] == "bridge")?;
    let id = network["id"].as_str().filter(|id| !id.is_empty())?.to_owned();
    let key = format!("{PREFIX}bridge/{id}/").into_bytes();
    let bridge = value(pairs.iter().find(|(other, _)| *other == key)?)?;
    Some((id, bridge["BridgeName"].as_str()?.to_owned()))
}

/// What a pair becomes in a new network namespace, in which there are no sandboxes, and no endpoints therefore.
fn kept((key, value): Pair, default: &str) -> Option<Pair> {
    let text = String::from_utf8_lossy(&key).into_owned();
    let words: Vec<&str> = text.strip_prefix(PREFIX).unwrap_or_default().split_terminator('/').collect();
    match words.as_slice() {
        // Folders, and what we do not know.
        [] | [_] => Some((key, value)),
        [_, id, ..] if *id == default => None,
        ["sandbox" | "endpoint", ..] => None,
        // Of the drivers: `bridge-endpoint`, `macvlan-endpoint`, and their like.
        [kind, ..] if kind.ends_with("-endpoint") => None,
        ["endpoint_count", ..] => Some((key, [value.get(..INDEX)?, br#"{"Count":0}"#].concat())),
        _ => Some((key, value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(key: &str, value: &str) -> Pair {
        (format!("{PREFIX}{key}").into_bytes(), [&1u64.to_le_bytes()[..], value.as_bytes()].concat())
    }

    fn record() -> Database {
        let pairs = vec![
            pair("bridge-endpoint/e1/", r#"{"nid":"d"}"#),
            pair("bridge-endpoint/e2/", r#"{"nid":"u"}"#),
            pair("bridge/d/", r#"{"BridgeName":"docker0"}"#),
            pair("bridge/u/", r#"{"BridgeName":"br-u"}"#),
            pair("endpoint/d/e1/", "{}"),
            pair("endpoint/u/e2/", "{}"),
            pair("endpoint_count/", ""),
            pair("endpoint_count/d/", r#"{"Count":1}"#),
            pair("endpoint_count/u/", r#"{"Count":1}"#),
            pair("network/d/", r#"{"name":"bridge","id":"d"}"#),
            pair("network/u/", r#"{"name":"mine","id":"u"}"#),
            pair("sandbox/s/", r#"{"Eps":[]}"#),
        ];
        Database { page_size: 4096, bucket: b"libnetwork".to_vec(), pairs }
    }

    fn links(names: &[&str]) -> Links {
        Links(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn user_networks_stay_and_nothing_is_connected() {
        let kept = renewed(record(), &links(&["lo", "eth0"])).unwrap().pairs;
        let expected = [
            pair("bridge/u/", r#"{"BridgeName":"br-u"}"#),
            pair("endpoint_count/", ""),
            pair("endpoint_count/u/", r#"{"Count":0}"#),
            pair("network/u/", r#"{"name":"mine","id":"u"}"#),
        ];
        assert_eq!(kept, expected);
    }

    #[test]
    fn a_bridge_that_is_there_or_may_be_is_no_stale_one() {
        assert_eq!(renewed(record(), &links(&["lo", "docker0"])), None);
        assert_eq!(renewed(record(), &links(&[])), None);
    }

    #[test]
    fn without_a_default_network_nothing_can_be_told() {
        let mut record = record();
        record.pairs.retain(|(key, _)| !key.ends_with(b"network/d/"));
        assert_eq!(renewed(record, &links(&["lo"])), None);
    }

    #[test]
    fn the_file_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "something else").unwrap();
        assert!(!settle(folder.path(), &links(&["lo"]), 0).unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"something else");
        fs::write(&path, boltdb::write(&record()).unwrap()).unwrap();
        assert!(settle(folder.path(), &links(&["lo"]), 0).unwrap());
        assert_eq!(boltdb::read(&fs::read(&path).unwrap()), renewed(record(), &links(&["lo"])));
        assert!(!settle(folder.path(), &links(&["lo"]), 0).unwrap(), "it is done");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn links_have_names() {
        let text = "Inter-|   Receive\n face |bytes\n    lo: 1 2\n  eth0: 3\n";
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("proc/net")).unwrap();
        fs::write(folder.path().join("proc/net/dev"), text).unwrap();
        assert_eq!(Links::now(&Root::at(folder.path())), links(&["lo", "eth0"]));
    }
}
