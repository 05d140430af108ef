//! The loop image of real nodes that share a volume, and seeds of real data roots, on a real outer engine.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod clones;
mod seals;

use dind_tests::outer::{Node, SLEEP, Volume, docker, inner_image};
use dind_tests::within;
use std::time::{Duration, Instant};

/// A node whose data root lies on its own overlay, and whose loop image lies on this volume.
fn node_on(volume: &Volume) -> Node {
    let data = format!("{}:/data", volume.name);
    let loops = ["--env", "DIND_DATA_ROOT=/srv/docker", "--env", "VAR_LIB_DOCKER_SIZE=512MiB"];
    Node::start(&[&loops[..], &["--volume", &data]].concat(), SLEEP)
}

#[test]
fn of_two_nodes_with_the_same_image_the_second_is_refused_until_the_first_is_gone() {
    let volume = Volume::new();
    let first = node_on(&volume);
    first.until_running();
    first.inner(&["run", "--name", "kept", &inner_image(), "true"]);

    let asked = Instant::now();
    let second = node_on(&volume);
    let started = asked.elapsed();
    assert_eq!(second.exit_status(), 125, "{}", second.log());
    let took = asked.elapsed().saturating_sub(started);
    within("the refusal", took, Duration::from_secs(2));
    let log = second.log();
    assert!(log.contains("image-in-use") && log.contains("/data/docker"), "{log}");

    assert_eq!(first.inner(&["ps", "--all", "--format", "{{.Names}}"]), "kept");
    first.exec(&["dind-launch", "status", "--healthy"]).ok();

    // No process of the first node is left that could release anything.
    docker(&["kill", "--signal", "KILL", &first.name]).ok();
    assert_eq!(first.exit_status(), 137);
    let third = node_on(&volume);
    third.until_running();
    assert_eq!(third.inner(&["ps", "--all", "--format", "{{.Names}}"]), "kept");
    assert_eq!(third.stop().0, 143, "{}", third.log());
}

#[test]
fn the_status_of_a_node_reports_its_storage() {
    let volume = Volume::new();
    let node = node_on(&volume);
    node.until_running();
    let now = node.record()["documents"]["storage-now"]["result"].clone();
    let bytes = |key: &str| now["space"][key].as_u64().unwrap();
    assert!(bytes("used_bytes") > 0 && bytes("available_bytes") < bytes("total_bytes"), "{now}");
    assert!(bytes("total_bytes") <= 512 << 20, "{now}");
    assert_eq!((&now["health"]["read_only"], &now["health"]["errors"]), (&false.into(), &0.into()), "{now}");

    // What ext4 does when it meets an error, by its own switch for tests (Documentation/ABI/testing/sysfs-fs-ext4).
    let device = now["image"]["device"].as_str().unwrap().trim_start_matches("/dev/").to_owned();
    let trigger = format!("echo broken > /sys/fs/ext4/{device}/trigger_fs_error");
    node.exec(&["sh", "-c", &trigger]).ok();
    let checked = node.exec(&["dind-launch", "status", "--healthy"]);
    assert_eq!(checked.status, 69, "{}", checked.stdout);
    assert!(checked.stdout.contains("has met an error and is read-only"), "{}", checked.stdout);
}
