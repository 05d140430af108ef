//! Nodes without `--privileged`, started by the plain runc with just the flags that `doctor --run-flags` prints; and
//! what is refused when one of them is left out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod doctor;
mod readmes;

use dind_tests::outer::{LOOP, Network, inner_image, ping_from_host};
use dind_tests::reduced::{self, RunFlags, start};
use serde_json::Value;

#[test]
fn the_reduced_set_makes_a_whole_node() {
    reduced::makes_a_whole_node("reduced");
}

#[test]
fn the_reduced_set_carries_the_loop_image() {
    let node = start(&RunFlags::ask().of("reduced"), &LOOP);
    node.until_running();
    assert_eq!(node.record()["documents"]["storage"]["result"]["backing"], "loop");
    assert_eq!(node.inner(&["run", "--rm", &inner_image(), "echo", "hello"]), "hello");
    assert_eq!(node.stop().0, 143, "{}", node.log());
}

#[test]
fn the_reduced_set_carries_bridged_mode() {
    let network = Network::new("10.214.0.0/16", "10.214.0.0/24", &[]);
    let options = ["--network", &network.name, "--env", "DOCKER_NETWORK_OFFSET=0.0.1.0"];
    let node = start(&RunFlags::ask().of("reduced"), &options);
    node.until_running();
    let id = node.inner_run(&[], "exec sleep 1000");
    let address = node.inner(&["inspect", "--format", "{{.NetworkSettings.IPAddress}}", &id]);
    assert!(address.starts_with("10.214.1."), "{address}");
    let answer = ping_from_host(&address);
    assert_eq!(answer.status, 0, "{answer:?}");
    assert_eq!(node.stop().0, 143, "{}", node.log());
}

/// The capability that engines need for containers of other users is in the set, and `doctor` asks for it exactly where it is
/// needed.
#[test]
fn containers_of_other_users_run_and_doctor_knows_which_engine_needs_a_capability_for_them() {
    let flags = RunFlags::ask();
    let other_user = ["run", "--rm", "--user", "1000", &inner_image(), "id", "-u"];
    let node = start(&flags.of("reduced"), &[]);
    node.until_running();
    assert_eq!(node.inner(&other_user), "1000");
    let node = start(&flags.without("SYS_PTRACE"), &[]);
    node.until_running();
    let ended = node.inner_docker(&other_user);
    let examined: Value = serde_json::from_str(&node.exec(&["dind-launch", "doctor"]).ok()).unwrap();
    let checks = examined["result"]["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["name"] == "CAP_SYS_PTRACE").expect("it is checked");
    let works = ended.status == 0;
    assert_eq!(works, check["verdict"] == "ok", "{ended:?} {check}");
    assert!(works || ended.stderr.contains("/ns/net"), "{ended:?}");
}
