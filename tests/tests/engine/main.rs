//! The inner engine over its life: what it is given, and what becomes of it when it dies.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod preload;
mod static_archive;

use dind_tests::outer::{LIMIT, Node, SLEEP, inner_image};
use dind_tests::{eventually, scratch};
use serde_json::json;
use std::fs;

#[test]
fn a_restarted_daemon_keeps_the_node_and_its_containers() {
    let node = Node::start(&["--env", "DIND_ENGINE_RESTART=on-failure:3"], SLEEP);
    node.until_running();
    let always = node.inner_run(&["--restart", "always"], "exec sleep 1000");
    let running = |id: &str| {
        let format = ["inspect", "--format", "{{.State.Running}}", id];
        node.exec(&[&["docker"], &format[..]].concat()).stdout == "true"
    };
    for (restarts, daemon) in [(1, "containerd_pid"), (2, "engine_pid")] {
        let once = node.inner_run(&[], "exec sleep 1000");
        let main = node.record()["main_pid"].clone();
        let pid = node.record()[daemon].to_string();
        node.exec(&["kill", "-KILL", &pid]).ok();
        let record = eventually("it has been started again", LIMIT, || {
            let record = node.record();
            (record["engine_restarts"] == restarts && record["state"] == "running").then_some(record)
        });
        assert_eq!(record["main_pid"], main);
        node.exec(&["dind-launch", "status", "--healthy"]).ok();
        eventually("what is to be restarted always runs", LIMIT, || running(&always).then_some(()));
        // Containers survive the death of containerd; that of dockerd ends them.
        assert_eq!(running(&once), daemon == "containerd_pid", "{daemon}");
        // dockerd looks for a new containerd every three seconds.
        eventually("the engine runs containers again", LIMIT, || {
            let run = node.exec(&["docker", "run", "--rm", &inner_image(), "echo", "hello"]);
            (run.stdout == "hello").then_some(())
        });
    }
    assert_eq!(node.stop().0, 143, "{}", node.log());
}

#[test]
fn an_engine_that_the_pids_limit_ends_is_reported_with_it() {
    // Two daemons of Go do not get by with so few threads.
    let node = Node::start(&["--pids-limit", "12"], SLEEP);
    assert_eq!(node.exit_status(), 125, "{}", node.log());
    let log = node.log();
    assert!(log.contains("dind-launch: cause: too many processes: the container's pids limit"), "{log}");
    assert!(log.contains("dind-launch: hint: give the container more processes and threads"), "{log}");
}

#[test]
fn archives_are_loaded_beside_a_main_process_that_does_not_wait() {
    let directory = scratch();
    fs::write(directory.path().join("broken.tar"), "no archive").unwrap();
    let volume = format!("{}:/broken:ro", directory.path().display());
    let broken = ["--volume", &volume, "--env", "DIND_PRELOAD=/broken"];

    let waits = Node::start(&broken, SLEEP);
    assert_eq!(waits.exit_status(), 125);
    assert!(waits.log().contains("cannot load `/broken/broken.tar`"), "{}", waits.log());

    let goes_on = Node::start(&[&broken[..], &["--env", "DIND_PRELOAD_WAIT=false"]].concat(), SLEEP);
    goes_on.until_running();
    let warning = eventually("the failure is on record", LIMIT, || {
        let warnings = goes_on.record()["warnings"].take();
        warnings.as_array()?.iter().find(|warning| warning["code"] == "preload-failed").cloned()
    });
    assert!(warning["message"].as_str().unwrap().contains("preload"), "{warning}");
    goes_on.exec(&["dind-launch", "status", "--healthy"]).ok();

    let loads = Node::start(&["--env", "DIND_PRELOAD_WAIT=false"], SLEEP);
    loads.until_running();
    let document = eventually("the archive is loaded", LIMIT, || {
        let document = loads.record()["documents"]["preload"].take();
        document.is_object().then_some(document)
    });
    assert_eq!((&document["mode"], &document["changed"]), (&json!("preload"), &json!(true)));
    assert_eq!(loads.inner(&["run", "--rm", &inner_image(), "echo", "hello"]), "hello");
    assert_eq!(loads.stop().0, 143);
}

#[test]
fn containers_on_the_engine_s_own_networks_return_to_them_after_a_restart() {
    let node = Node::start(&[], SLEEP);
    node.until_running();
    let listed = || {
        let listed = node.inner(&["network", "ls", "--format", "{{.Name}} {{.Driver}}"]);
        assert_eq!(listed.lines().collect::<Vec<_>>(), ["bridge bridge", "host host", "none null"]);
    };
    listed();
    let links = |network: &str| {
        node.inner(&["run", "--rm", "--network", network, &inner_image(), "ls", "/sys/class/net"])
    };
    assert_eq!(links("none"), "lo");
    assert!(links("host").lines().any(|link| link == "docker0"), "{}", links("host"));
    for network in ["none", "host", "bridge"] {
        let options = ["--name", network, "--network", network, "--restart", "always"];
        node.inner_run(&options, "exec sleep 1000");
    }
    assert_eq!(node.stop().0, 143, "{}", node.log());
    node.start_again();
    // The launcher removes a record of networks that no longer exist, so their ids may have changed.
    listed();
    for network in ["none", "host", "bridge"] {
        eventually("a container on it is back", LIMIT, || {
            let format = "{{range .Containers}}{{.Name}}{{end}}";
            (node.inner(&["network", "inspect", "--format", format, network]) == network).then_some(())
        });
    }
}
