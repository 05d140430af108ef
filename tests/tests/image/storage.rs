//! Where the data root lies, and what is on it after a kill.

use dind_tests::outer::{LIMIT, LOOP, Node, SLEEP, docker, inner_image, is_attached};
use dind_tests::{eventually, unique};
use serde_json::json;

#[test]
fn a_data_root_on_a_volume_is_used_as_it_is() {
    let node = Node::start(&["--health-interval", "100ms"], SLEEP);
    node.until_running();
    assert_eq!(node.exec(&["docker", "run", "--rm", &inner_image(), "echo", "hello"]).ok(), "hello");
    assert_eq!(node.inner(&["info", "--format", "{{.Driver}}"]), node.overlay());
    let record = node.record();
    assert_eq!(record["documents"]["storage"]["result"]["backing"], "native");
    assert_eq!(
        record["engine_version"],
        node.inner(&["version", "--format", "{{.Server.Version}}"]).as_str()
    );
    eventually("the outer engine calls the node healthy", LIMIT, || {
        let health = docker(&["inspect", "--format", "{{.State.Health.Status}}", &node.name]).ok();
        (health == "healthy").then_some(())
    });
    assert_eq!(node.stop().0, 143, "sleep ends by TERM: {}", node.log());
}

#[test]
fn a_data_root_on_the_container_s_own_overlay_gets_a_loop_image() {
    let name = unique("image");
    let image = format!("DIND_STORAGE_IMAGE=/data/{name}");
    let node = Node::start(&[&LOOP[..], &["--env", &image]].concat(), SLEEP);
    node.until_running();
    assert_eq!(node.inner(&["run", "--rm", &inner_image(), "echo", "hello"]), "hello");
    assert_eq!(
        node.inner(&["info", "--format", "{{.Driver}} {{.DockerRootDir}}"]),
        format!("{} /srv/docker", node.overlay())
    );
    let storage = node.record()["documents"]["storage"]["result"].clone();
    assert_eq!((&storage["backing"], &storage["image"]["size_bytes"]), (&json!("loop"), &json!(1_u64 << 30)));
    assert!(is_attached(&name), "{storage}");
    assert_eq!(node.stop().0, 143);
    assert!(!is_attached(&name), "{name} still backs a loop device");
    assert_eq!(node.last_record()["documents"]["release-storage"]["changed"], true);
}

#[test]
fn a_killed_node_comes_back() {
    let node = Node::start(&[], SLEEP);
    node.until_running();
    for round in 0..4 {
        assert_eq!(node.inner(&["run", "--rm", &inner_image(), "echo", "hello"]), "hello", "round {round}");
        node.inner_run(&[], "exec sleep 1000");
        let up = node.inner(&["ps", "--quiet"]);
        assert_eq!(up.lines().count(), 1, "round {round}: ghosts of killed containers: {up}");
        docker(&["kill", &node.name]).ok();
        assert_eq!(node.exit_status(), 137);
        node.start_again();
    }
}

#[test]
fn a_killed_node_on_a_loop_image_comes_back_with_its_volumes() {
    let name = unique("image");
    let image = format!("DIND_STORAGE_IMAGE=/data/{name}");
    let node = Node::start(&[&LOOP[..], &["--env", &image]].concat(), SLEEP);
    node.until_running();
    node.inner(&["volume", "create", "kept"]);
    docker(&["kill", &node.name]).ok();
    assert_eq!(node.exit_status(), 137);
    assert!(!is_attached(&name), "{name} still backs a loop device");
    node.start_again();
    assert_eq!(node.inner(&["volume", "ls", "--quiet"]), "kept");
}
