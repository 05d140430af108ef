//! Nodes in user namespaces, on an engine that maps users: the set `userns` that `doctor --run-flags` prints.

mod attempts;
pub(super) mod escape;
mod machine;
mod no_boundary;
pub(super) mod place;
mod podman;
mod readmes;
pub(super) mod scene;

use dind_tests::cell::{Mode, SLOW, Storage, cell_of};
use dind_tests::outer::{Node, docker, image, inner_image};
use dind_tests::reduced::{RunFlags, makes_a_whole_node, start};
use dind_tests::scratch;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// A node of the set, with more options.
fn node(options: &[&str]) -> Node {
    start(&RunFlags::ask().of("userns"), &[&SLOW[..], options].concat())
}

fn cell(mode: Mode) {
    let run_flags = RunFlags::ask();
    let flags = run_flags.of("userns");
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    cell_of(&flags, Storage::Native, mode, &[], |node, _| {
        let map = fs::read_to_string(node.process().unwrap().join("uid_map")).unwrap();
        assert_eq!(map.split_whitespace().collect::<Vec<_>>(), ["0", "165536", "65536"]);
    });
}

#[test]
fn native_default() {
    cell(Mode::Default("10.231"));
}

#[test]
fn native_bridged() {
    cell(Mode::Bridged("10.232"));
}

#[test]
fn the_set_makes_a_whole_node() {
    makes_a_whole_node("userns");
}

/// The first set is the one for this machine, and a shell gets it.
#[test]
fn doctor_recommends_the_set_here() {
    let flags = RunFlags::ask();
    let first = &flags.document["result"]["run_flags"][0];
    assert_eq!((&first["name"], &first["works"]), (&json!("userns"), &json!(true)), "{first}");
    let output = flags.doctor(&["--output", "flags"]);
    let words = String::from_utf8(output.stdout).unwrap();
    assert!(words.starts_with("--cap-add SYS_ADMIN ") && !words.contains("loop"), "{words}");
    // The engine refuses the others without it.
    for set in ["reduced", "privileged"] {
        assert!(flags.of(set).join(" ").contains("--userns host"), "{set}");
        let flags = flags.of(set);
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        docker(&[&["run", "--rm", "--entrypoint", "true"], &flags[..], &[&image()]].concat()).ok();
    }
}

/// The node survives a restart, a kill and a start with what it has, and its own `doctor` finds nothing to complain of.
#[test]
fn a_node_comes_back_after_a_restart_and_a_kill() {
    let node = node(&[]);
    node.until_running();
    let examined: Value = serde_json::from_str(&node.exec(&["dind-launch", "doctor"]).ok()).unwrap();
    let checks = examined["result"]["checks"].as_array().unwrap();
    let poor: Vec<_> = checks.iter().filter(|check| check["verdict"] != "ok").collect();
    // The machine's limits, which hold for every user of it.
    let known = ["user keys", "inotify instances", "inotify watches", "open files"];
    assert!(poor.iter().all(|check| known.contains(&check["name"].as_str().unwrap())), "{poor:?}");
    assert_eq!(node.record()["warnings"].as_array().map_or(0, Vec::len), 0, "{}", node.log());
    let log = node.log();
    let ours: Vec<_> = log.lines().filter(|line| line.starts_with("dind-")).collect();
    assert!(ours.iter().all(|line| !line.contains(": warning: ")), "{ours:?}");

    let id = node.inner_run(&["--restart", "always"], "exec sleep 1000");
    node.comes_back_after_a_restart_and_a_kill(&id, || ());
    docker(&["stop", "--time", "60", &node.name]).ok();
    assert_eq!(node.exit_status(), 143, "{}", node.log());
}

/// What cannot be had there is said before anything changes, with what helps.
#[test]
fn a_data_root_that_needs_a_loop_image_is_refused_with_a_volume_as_the_hint() {
    let node = node(&["--env", "DIND_DATA_ROOT=/srv/docker"]);
    assert_eq!(node.exit_status(), 125, "{}", node.log());
    let log = node.log();
    assert!(log.contains("mount a volume on the data root: --volume /srv/docker"), "{log}");
    assert!(!log.contains("--privileged"), "the engine refuses it: {log}");
    let planned = docker(&[
        "run",
        "--rm",
        "--entrypoint",
        "dind-storage",
        "--env",
        "DIND_DATA_ROOT=/srv/docker",
        "--cap-add",
        "SYS_ADMIN",
        &image(),
        "plan",
    ]);
    let planned: Value = serde_json::from_str(&planned.stdout).unwrap();
    assert_eq!(planned["error"]["code"], "no-driver", "{planned}");
    assert_eq!(
        planned["error"]["hint"], "mount a volume on it: docker run --volume /srv/docker",
        "{planned}"
    );
    let tried = docker(&[
        "run",
        "--rm",
        "--volume",
        "/srv/docker",
        "--env",
        "DIND_DATA_ROOT=/srv/docker",
        "--entrypoint",
        "dind-storage",
        "--cap-add",
        "SYS_ADMIN",
        &image(),
        "plan",
    ]);
    assert_eq!(tried.status, 0, "the hint helps: {tried:?}");
}

/// A block device of the machine that can be opened is a way out, and refused unless it is meant.
#[test]
fn a_block_device_of_the_machine_is_refused_by_name() {
    let device = "/dev/loop7";
    let before = fs::metadata(device).unwrap().permissions();
    fs::set_permissions(device, fs::Permissions::from_mode(0o666)).unwrap();
    let refused = node(&["--device", device]);
    assert_eq!(refused.exit_status(), 125, "{}", refused.log());
    let log = refused.log();
    assert!(log.contains(&format!("the user namespace is no boundary: {device} (")), "{log}");
    let meant = node(&["--device", device, "--env", "DIND_ALLOW_HOST_DEVICES=true"]);
    meant.until_running();
    drop(meant);
    // One that cannot be opened is none.
    fs::set_permissions(device, fs::Permissions::from_mode(0o660)).unwrap();
    node(&["--device", device]).until_running();
    fs::set_permissions(device, before).unwrap();
}

/// What `doctor` lists fails with the error that it names.
#[test]
fn what_inner_containers_cannot_have_is_what_doctor_lists() {
    let node = node(&[]);
    node.until_running();
    let examined: Value = serde_json::from_str(&node.exec(&["dind-launch", "doctor"]).ok()).unwrap();
    let listed = examined["result"]["limitations"].as_array().unwrap().clone();
    assert!(listed.len() > 3, "{examined}");
    let mut wrong = Vec::new();
    for limitation in listed {
        let inner = inner_image();
        let words = limitation["command"].as_str().unwrap().split(' ').skip(1);
        let mut words: Vec<_> = words.map(|word| if word == "IMAGE" { &inner } else { word }).collect();
        words.extend((words.last() == Some(&inner.as_str())).then_some("true"));
        let ended = node.inner_docker(&words);
        let known = match ended.status {
            0 => limitation["only"].is_string(),
            _ => ended.stderr.contains(limitation["error"].as_str().unwrap()),
        };
        if !known {
            wrong.push(format!("{words:?}: {ended:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// `docker save --output` makes files that root of the node may not read: said before the engine starts.
#[test]
fn an_archive_that_root_of_the_node_may_not_read_is_named() {
    let directory = scratch();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let archive = directory.path().join("image.tar");
    fs::write(&archive, "").unwrap();
    fs::set_permissions(&archive, fs::Permissions::from_mode(0o600)).unwrap();
    let volume = format!("{}:/archives:ro", directory.path().display());
    let node = node(&["--volume", &volume, "--env", "DIND_PRELOAD=/archives"]);
    assert_eq!(node.exit_status(), 125, "{}", node.log());
    let log = node.log();
    assert!(log.contains("cannot read `/archives/image.tar`: Permission denied"), "{log}");
    assert!(log.contains("chmod a+r") && !log.contains("Starting up"), "{log}");
}
