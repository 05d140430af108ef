//! The cells of the support table, as pods.

use crate::cell::{GRACE, MEMORY, Node, is_gone, share, variables};
use crate::daemon::Containerd;
use crate::names::{ADDRESS, DOMAIN, SERVICE};
use crate::pod::Pod;
use crate::set::{NODE, Set};
use dind_tests::cell::{self, LIMITS, MAIN, Storage};
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

/// Without any added capability: the node makes its user namespace by itself, and has a control group that works on v1, too.
#[test]
fn a_node_with_a_user_namespace_of_its_own_works_in_a_pod() {
    let share = share();
    let pod = start(Set::printed("rootless"), Storage::Native, None, &share);
    pod.until_running();
    let doctor = pod.exec(&["dind-launch", "doctor"]);
    assert_eq!(doctor.status, 0, "{doctor:?}");
    let map = pod.exec(&["dind-launch", "enter", "--", "cat", "/proc/self/uid_map"]).ok();
    assert_eq!(map.split_whitespace().collect::<Vec<_>>(), ["0", "1879048192", "65536"]);
    let words = [&["run", "--rm", "--network", "bridge"], &LIMITS[..]].concat();
    let read = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; true";
    let limited = pod.inner(&[&words[..], &[&inner_image(), "sh", "-c", read]].concat());
    assert_eq!(limited, (64 << 20).to_string());
    // The way out, to the cluster's name server. A ping would need a sysctl of the pod (net.ipv4.ping_group_range).
    let look = ["run", "--rm", &inner_image(), "nslookup", &format!("{SERVICE}.{DOMAIN}")];
    let found = pod.inner_docker(&look).stdout;
    assert!(found.contains(&ADDRESS.map(|byte| byte.to_string()).join(".")), "{found}");
    assert_eq!(pod.stop().0, 42, "{}", pod.log());
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
