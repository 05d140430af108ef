//! The record of an engine that has not run yet.
//!
//! dockerd makes its networks one after the other, `none`, `host` and `bridge`, and after each of them it takes the jump to
//! `DOCKER-USER` out of the chain FORWARD and puts it in again (moby, libnetwork, `arrangeUserFilterRule`). What is taken out
//! waits for an RCU grace period, and each change of the record for the disk. The first two have neither interface nor rule
//! nor setting: what dockerd makes of them is their entry. An engine that finds them made starts an eighth sooner.
//!
//! The entries are those that engine 20.10 writes, the oldest that we support. Every later one reads them, for it has to
//! take over the data roots of its predecessors.

use super::{FILE, INDEX, PREFIX, replace};
use crate::engine::boltdb::{self, Database, Pair};
use serde_json::json;
use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

/// The folder of everything that dockerd keeps of networks. (With `userns-remap` it keeps them in a folder more, and does not
/// look here.)
const FOLDER: &str = "network";

/// The mode of that folder, and of a new record, as dockerd makes them.
const MODES: (u32, u32) = (0o750, 0o644);

/// dockerd takes the page size of its record from the file.
const PAGE_SIZE: usize = 4096;

/// What a value begins with: the number of its last change.
const FIRST_CHANGE: [u8; INDEX] = 1u64.to_le_bytes();

/// The networks, by name and driver.
const NETWORKS: [(&str, &str); 2] = [("none", "null"), ("host", "host")];

/// Writes the record, with networks of this age (milliseconds of Unix time), unless an engine has been here. Returns whether it
/// did.
///
/// # Errors
/// Those of writing it.
pub(super) fn begin(data_root: &Path, created: u64) -> io::Result<bool> {
    // The format has the machine's order of bytes, and we have the other one only. Whatever is there is not ours to change.
    if cfg!(target_endian = "big") || data_root.join(FOLDER).symlink_metadata().is_ok() {
        return Ok(false);
    }
    let created = humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(created)).to_string();
    let mut pairs = Vec::new();
    for (name, driver) in NETWORKS {
        pairs.extend(network(&new_id()?, name, driver, &created));
    }
    pairs.push(pair("endpoint_count/", ""));
    pairs.sort();
    let record = Database { page_size: PAGE_SIZE, bucket: b"libnetwork".to_vec(), pairs };
    let Some(bytes) = boltdb::write(&record) else { return Ok(false) };
    let path = data_root.join(FILE);
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(MODES.0).create(folder)?;
    }
    replace(&path, &bytes, Permissions::from_mode(MODES.1)).map(|()| true)
}

/// The entries of a network without settings (moby, libnetwork/network.go, `MarshalJSON`).
fn network(id: &str, name: &str, driver: &str, created: &str) -> [Pair; 2] {
    let value = json!({
        "addrSpace": "",
        "attachable": false,
        "configFrom": "",
        "configOnly": false,
        "created": created,
        "enableIPv6": false,
        "generic": {"com.docker.network.generic": {}},
        "id": id,
        "inDelete": false,
        "ingress": false,
        "internal": false,
        "ipamOptions": null,
        "ipamType": "default",
        "labels": null,
        "loadBalancerIP": "",
        "loadBalancerMode": "NAT",
        "name": name,
        "networkType": driver,
        "persist": true,
        "postIPv6": false,
        "scope": "local",
    });
    [
        pair(&format!("endpoint_count/{id}/"), r#"{"Count":0}"#),
        pair(&format!("network/{id}/"), &value.to_string()),
    ]
}

fn pair(key: &str, value: &str) -> Pair {
    (format!("{PREFIX}{key}").into_bytes(), [&FIRST_CHANGE, value.as_bytes()].concat())
}

/// 256 random bits in hexadecimal, as all ids of dockerd's.
fn new_id() -> io::Result<String> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_new_data_root_has_two_networks_with_ids_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        assert!(begin(folder.path(), 0).unwrap());
        let path = folder.path().join(FILE);
        let record = boltdb::read(&fs::read(&path).unwrap()).unwrap();
        let networks: Vec<Value> = record
            .pairs
            .iter()
            .filter(|(key, _)| key.starts_with(format!("{PREFIX}network/").as_bytes()))
            .map(|(_, value)| serde_json::from_slice(&value[INDEX..]).unwrap())
            .collect();
        let mut names: Vec<_> = networks.iter().map(|one| (&one["name"], &one["networkType"])).collect();
        names.sort_by_key(|(name, _)| name.as_str());
        assert_eq!(names, [(&"host".into(), &"host".into()), (&"none".into(), &"null".into())]);
        for network in &networks {
            let id = network["id"].as_str().unwrap();
            assert!(id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
            let count = format!("{PREFIX}endpoint_count/{id}/").into_bytes();
            assert!(record.pairs.iter().any(|(key, _)| *key == count), "{id}");
        }
        assert_ne!(networks[0]["id"], networks[1]["id"]);
        assert_eq!(networks[0]["created"], "1970-01-01T00:00:00.000Z");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(&path), mode(&folder.path().join(FOLDER))), (MODES.1, MODES.0));
        assert!(!begin(folder.path(), 0).unwrap(), "it is done");
    }

    #[test]
    fn where_an_engine_has_been_nothing_is_begun() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(FOLDER)).unwrap();
        assert!(!begin(folder.path(), 0).unwrap());
        assert_eq!(fs::read_dir(folder.path().join(FOLDER)).unwrap().count(), 0);
        let folder = tempfile::tempdir().unwrap();
        symlink("nowhere", folder.path().join(FOLDER)).unwrap();
        assert!(!begin(folder.path(), 0).unwrap());
    }
}
