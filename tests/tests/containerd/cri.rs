//! The cells of the support table, as pods.

use crate::cell::{GRACE, MEMORY, Node, is_gone, share, variables};
use crate::daemon::Containerd;
use crate::pod::Pod;
use crate::set::{NODE, Set};
use dind_tests::cell::{self, MAIN, Storage};
use dind_tests::outer::{Share, inner_image};
use serde_json::json;
use std::path::Path;

#[test]
fn native_default() {
    cell(Set::printed("privileged"), Storage::Native, None);
}

#[test]
fn native_bridged() {
    cell(Set::printed("privileged"), Storage::Native, Some(1));
}

#[test]
fn loop_default() {
    cell(Set::printed("privileged"), Storage::Loop, None);
}

#[test]
fn loop_bridged() {
    cell(Set::printed("privileged"), Storage::Loop, Some(2));
}

#[test]
fn a_node_with_the_reduced_set_works_on_cgroup_v2_and_starts_no_container_on_v1() {
    let set = Set::printed("reduced");
    if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        return cell(set, Storage::Native, Some(3));
    }
    let share = share();
    let pod = start(set, Storage::Native, None, &share);
    pod.until_running();
    let refused = pod.inner_docker(&["run", "--rm", &inner_image(), "true"]);
    // containerd does not give a pod the console, and no group gives one below it what it does not have.
    assert!(refused.stderr.contains(r#"failed to write "c 5:1 rwm""#), "{refused:?}");
    pod.delete();
}

fn cell(set: Set, storage: Storage, range: Option<u8>) {
    cell::ran_on(module_path!(), &format!("{} by CRI", Containerd::versions()));
    let share = share();
    let pod = start(set, storage, range, &share);
    let group = crate::cell::cell(&pod, &share, storage, range);
    pod.delete();
    is_gone(&group);
}

fn start(mut set: Set, storage: Storage, range: Option<u8>, share: &Share) -> Pod {
    set.volume("share", &json!({"hostPath": {"path": share.path("").to_str().unwrap()}}), "/share");
    set.node()["resources"] = json!({"limits": {"memory": MEMORY}});
    set.spec["terminationGracePeriodSeconds"] = json!(GRACE.as_secs());
    for (name, value) in variables(storage, range) {
        set = set.variable(&name, &value);
    }
    let set = set.command(&MAIN);
    let pod = Pod::new(&set.spec, &set.profile);
    pod.run(NODE);
    pod
}
