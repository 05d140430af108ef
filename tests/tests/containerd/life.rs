//! The life of a node in a pod: its crash and the next attempt in the same sandbox, its names and ports, and what a kubelet's choice of
//! scores does to it.

use crate::cell::Node;
use crate::daemon::PODS;
use crate::names::{ADDRESS, DOMAIN, SERVICE};
use crate::pod::Pod;
use crate::set::{NODE, Set};
use dind_tests::eventually;
use dind_tests::outer::{LIMIT, SLEEP, inner_image};
use serde_json::json;
use std::fs;

fn start(set: Set) -> Pod {
    let set = set.command(SLEEP);
    let pod = Pod::new(&set.spec, &set.profile);
    pod.run(NODE);
    pod.until_running();
    pod
}

/// An inner container that comes back with its engine; on a network of its own.
fn start_inner(pod: &Pod) {
    pod.inner(&["network", "create", "own"]);
    let run = ["run", "--detach", "--name", "back", "--restart", "always", "--network", "own"];
    pod.inner(&[&run[..], &[&inner_image(), "sleep", "infinity"]].concat());
    pod.inner(&[
        "run",
        "--detach",
        "--name",
        "bridge",
        "--restart",
        "always",
        &inner_image(),
        "sleep",
        "infinity",
    ]);
}

fn is_back(pod: &Pod) {
    for name in ["back", "bridge"] {
        eventually("the inner container runs again", LIMIT, || {
            (pod.inner_docker(&["inspect", "--format", "{{.State.Running}}", name]).stdout == "true")
                .then_some(())
        });
        let ping = ["exec", name, "ping", "-c", "1", "-W", "30", &format!("{PODS}.0.1")];
        pod.inner(&ping);
    }
}

/// A container that has crashed, or was stopped, is not started again on Kubernetes: there is a new one, with the same volumes, in the
/// same network namespace, which still has the bridges and the rules of the former engine.
fn comes_back_in_its_sandbox(set: Set) {
    let pod = start(set);
    start_inner(&pod);
    is_back(&pod);
    pod.kill(NODE);
    pod.run(NODE);
    pod.until_running();
    is_back(&pod);
    assert_eq!(pod.stop().0, 143, "{}", pod.log());
    pod.run(NODE);
    pod.until_running();
    is_back(&pod);
    pod.delete();
}

#[test]
fn a_new_attempt_in_the_same_sandbox_continues_what_a_killed_one_has_left() {
    comes_back_in_its_sandbox(Set::printed("privileged"));
}

#[test]
fn so_does_one_whose_run_directory_outlives_it() {
    let mut set = Set::printed("privileged");
    set.volume("run", &json!({"emptyDir": {}}), "/var/run");
    comes_back_in_its_sandbox(set);
}

fn bridged(range: u8) -> Set {
    Set::printed("privileged").variable("DOCKER_NETWORK_OFFSET", &format!("0.0.{range}.0"))
}

#[test]
fn so_does_a_bridged_one() {
    comes_back_in_its_sandbox(bridged(5));
}

#[test]
fn so_does_a_bridged_one_whose_run_directory_outlives_it() {
    let mut set = bridged(6);
    set.volume("run", &json!({"emptyDir": {}}), "/var/run");
    comes_back_in_its_sandbox(set);
}

#[test]
fn inner_containers_find_what_the_cluster_s_name_server_knows() {
    let pod = start(Set::printed("privileged"));
    pod.inner(&["network", "create", "own"]);
    let address = ADDRESS.map(|byte| byte.to_string()).join(".");
    for (network, name) in [
        ("bridge", SERVICE.to_owned()),
        ("own", SERVICE.to_owned()),
        ("bridge", format!("{SERVICE}.{DOMAIN}")),
        ("host", SERVICE.to_owned()),
    ] {
        // It asks in every domain, and fails where one does not have the name.
        let look = ["run", "--rm", "--network", network, &inner_image(), "nslookup", &name];
        let found = pod.inner_docker(&look).stdout;
        assert!(found.contains(&address), "{name} on {network}: {found}");
    }
    pod.delete();
}

#[test]
fn a_port_of_the_machine_leads_to_an_inner_container() {
    let mut set = Set::printed("privileged");
    set.node()["ports"] = json!([{"containerPort": 80, "hostPort": 8080}]);
    let pod = start(set);
    let serve = "mkdir /www; echo served >/www/index.html; httpd -f -p 8000 -h /www";
    pod.inner(&["run", "--detach", "--publish", "80:8000", &inner_image(), "sh", "-c", serve]);
    // The machine's address, as another machine sees it, and the pod's.
    for address in [format!("{PODS}.0.1:8080"), pod.address()] {
        let served = eventually("the port is served", LIMIT, || {
            let got =
                pod.containerd().enter(&["busybox", "wget", "-q", "-O", "-", &format!("http://{address}/")]);
            (got.status == 0).then_some(got.stdout)
        });
        assert_eq!(served, "served");
    }
    pod.delete();
}

#[test]
fn an_engine_is_ended_for_want_of_memory_no_sooner_than_its_containers() {
    let pod = start(Set::printed("privileged"));
    let score =
        |path: std::path::PathBuf| fs::read_to_string(path.join("oom_score_adj")).unwrap().trim().to_owned();
    let id = pod.inner(&["run", "--detach", &inner_image(), "sleep", "infinity"]);
    let pid = pod.inner(&["inspect", "--format", "{{.State.Pid}}", &id]);
    let node = pod.process();
    assert_eq!(score(node.clone()), "0");
    assert_eq!(score(node.join("root/proc").join(pid)), "0");
    pod.delete();
}
