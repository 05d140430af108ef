//! dockerd's record of networks: what is read of it, and when it is removed.

#![allow(clippy::unwrap_used)]

mod boltdb;
mod random;
mod reader;

use boltdb::{BRANCH, ELEMENT, HEADER, LEAF, PAGE_SIZE, Pair, SUMMED, write};
use dind_launch::engine::stale_networks::{Links, is_stale, remove};
use dind_system::Root;
use dind_system::boltdb::read;
use dind_system::docker_networks::FILE;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, File};

fn numbered(count: usize, length: usize) -> Vec<Pair> {
    (0..count).map(|i| (format!("key/{i:05}").into_bytes(), vec![b'v'; length])).collect()
}

#[test]
fn all_shapes_of_trees_are_read() {
    // Nothing, one leaf, branches over leaves, branches over branches, values longer than a page.
    for (count, length) in [(0, 0), (3, 10), (100, 300), (40_000, 40), (5, 10_000)] {
        let pairs = numbered(count, length);
        let file = write(&pairs).unwrap();
        assert_eq!(file.len() % PAGE_SIZE, 0);
        assert_eq!(read(&file).as_ref(), Some(&pairs), "{count} {length}");
    }
}

#[test]
fn the_younger_intact_root_counts() {
    /// Where the checksum of a root lies.
    const CHECKSUM: usize = HEADER + SUMMED;
    let mut file = write(&numbered(3, 10)).unwrap();
    let other = write(&numbered(4, 10)).unwrap();
    // The pages of the other one, under the older root alone.
    file.truncate(2 * PAGE_SIZE);
    file.extend(&other[2 * PAGE_SIZE..]);
    assert_eq!(read(&file).unwrap().len(), 4);
    file[PAGE_SIZE + CHECKSUM] ^= 1;
    assert_eq!(read(&file).unwrap().len(), 4, "the older root is as good");
    file[CHECKSUM] ^= 1;
    assert_eq!(read(&file), None);
}

#[test]
fn what_is_cut_off_is_not_understood() {
    let file = write(&numbered(100, 300)).unwrap();
    for length in (0..file.len()).step_by(512) {
        assert_eq!(read(&file[..length]), None, "{length}");
    }
}

/// Each of ten branches refers a hundred times to the one before: a reader that follows all references never ends.
#[test]
fn branches_that_share_pages_are_refused_at_once() {
    let mut file = write(&numbered(4_000, 40)).unwrap();
    let number = |n: usize| (n as u64).to_le_bytes();
    // The leaves begin after the roots and the list of free pages; the bucket's own page is the last, its top branch is before.
    let (leaf, top) = (3, file.len() / PAGE_SIZE - 2);
    let fill = |file: &mut [u8], n: usize, kind: u16, count: u8, target: usize| {
        let page = &mut file[n * PAGE_SIZE..][..PAGE_SIZE];
        (page[8], page[10], page[11]) = (kind as u8, count, 0);
        for i in 0..usize::from(count) {
            page[HEADER + i * ELEMENT + 8..][..8].copy_from_slice(&number(target));
        }
    };
    fill(&mut file, leaf, LEAF, 0, 0);
    (leaf + 1..leaf + 10).for_each(|n| fill(&mut file, n, BRANCH, 100, n - 1));
    fill(&mut file, top, BRANCH, 1, leaf + 1);
    assert_eq!(read(&file), None);
    fill(&mut file, leaf + 1, BRANCH, 1, leaf);
    assert_eq!(read(&file), Some(Vec::new()), "it is the sharing that is refused");
    fill(&mut file, top, BRANCH, 100, leaf + 9);
    assert_eq!(read(&file), None);
}

/// Elements may not all be the same long range of bytes.
#[test]
fn elements_that_overlap_are_refused() {
    const COUNT: usize = 20;
    let pairs = numbered(COUNT, 150);
    let mut file = write(&pairs).unwrap();
    // All of them lie in one leaf. Each value shall reach to the end of the last.
    let length = pairs[0].0.len() + 150;
    for i in 0..COUNT {
        assert!(i > 5 || read(&file).is_some(), "{i}");
        let at = 3 * PAGE_SIZE + HEADER + i * ELEMENT + 12;
        let longer = (COUNT - i - 1) * length + 150;
        file[at..at + 4].copy_from_slice(&(longer as u32).to_le_bytes());
    }
    assert_eq!(read(&file), None);
}

fn pair(key: &str, value: &str) -> Pair {
    let key = format!("docker/network/v1.0/{key}").into_bytes();
    (key, [&1u64.to_le_bytes()[..], value.as_bytes()].concat())
}

/// The record of an engine that was killed, with a container on its default network.
fn own_networks() -> Vec<Pair> {
    vec![
        pair("bridge-endpoint/e1/", r#"{"nid":"d"}"#),
        pair("bridge/d/", r#"{"BridgeName":"docker0"}"#),
        pair("endpoint/d/e1/", "{}"),
        pair("endpoint_count/", ""),
        pair("endpoint_count/d/", r#"{"Count":1}"#),
        pair("endpoint_count/h/", r#"{"Count":0}"#),
        pair("endpoint_count/n/", r#"{"Count":0}"#),
        pair("network/d/", r#"{"name":"bridge","id":"d"}"#),
        pair("network/h/", r#"{"name":"host","id":"h"}"#),
        pair("network/n/", r#"{"name":"none","id":"n"}"#),
        pair("sandbox/s/", r#"{"Eps":[]}"#),
    ]
}

fn with(more: &[Pair]) -> Vec<Pair> {
    let mut record = own_networks();
    record.extend_from_slice(more);
    record.sort();
    record
}

fn links(names: &[&str]) -> Links {
    Links(names.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn a_record_of_the_engine_s_own_networks_is_stale() {
    assert!(is_stale(&own_networks(), &links(&["lo", "eth0"])));
}

#[test]
fn a_bridge_that_is_there_or_may_be_is_not_stale() {
    assert!(!is_stale(&own_networks(), &links(&["lo", "docker0"])));
    assert!(!is_stale(&own_networks(), &links(&[])));
}

#[test]
fn a_record_with_a_user_network_is_left_to_the_engine() {
    let user = with(&[
        pair("bridge/u/", r#"{"BridgeName":"br-u"}"#),
        pair("endpoint_count/u/", r#"{"Count":1}"#),
        pair("network/u/", r#"{"name":"mine","id":"u"}"#),
    ]);
    assert!(!is_stale(&user, &links(&["lo"])));
}

#[test]
fn what_is_not_understood_is_left_to_the_engine() {
    for more in [
        pair("macvlan/u/", "{}"),
        pair("ipam/", "something"),
        pair("network/x/", "no JSON"),
        pair("network/x/", r#"{"name":"","id":"x"}"#),
        (b"docker/network/v2.0/network/d/".to_vec(), Vec::new()),
        (b"\xff".to_vec(), Vec::new()),
    ] {
        assert!(!is_stale(&with(std::slice::from_ref(&more)), &links(&["lo"])), "{more:?}");
    }
    for missing in ["network/d/", "bridge/d/"] {
        let mut record = own_networks();
        record.retain(|(key, _)| !key.ends_with(missing.as_bytes()));
        assert!(!is_stale(&record, &links(&["lo"])), "{missing}");
    }
}

#[test]
fn the_file_goes_only_where_it_is_stale_and_no_engine_runs() {
    let directory = tempfile::tempdir().unwrap();
    let (root, links) = (directory.path(), links(&["lo"]));
    assert!(!remove(root, &links).unwrap(), "there is none");
    let path = root.join(FILE);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "something else").unwrap();
    assert!(!remove(root, &links).unwrap());
    let user = write(&with(&[pair("network/u/", r#"{"name":"mine","id":"u"}"#)])).unwrap();
    fs::write(&path, &user).unwrap();
    assert!(!remove(root, &links).unwrap());
    assert_eq!(fs::read(&path).unwrap(), user);
    fs::write(&path, write(&own_networks()).unwrap()).unwrap();
    let lock = Flock::lock(File::open(&path).unwrap(), FlockArg::LockExclusiveNonblock).unwrap();
    assert!(remove(root, &links).is_err(), "an engine has it");
    drop(lock);
    assert!(remove(root, &links).unwrap());
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
}

#[test]
fn links_have_names() {
    let text = "Inter-|   Receive\n face |bytes\n    lo: 1 2\n  eth0: 3\n";
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir_all(directory.path().join("proc/net")).unwrap();
    fs::write(directory.path().join("proc/net/dev"), text).unwrap();
    assert_eq!(Links::read(&Root::at(directory.path())), links(&["lo", "eth0"]));
}
