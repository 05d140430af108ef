//! SIGKILL, several times each: of dockerd, containerd, a shim, the main process, the outer container.

use crate::fixtures::{Image, SLEEPS, node, really_running, sh, until_no_zombies};
use dind_tests::outer::{LIMIT, Node, SLEEP, docker};
use dind_tests::{eventually, rounds};

/// What a kill leaves behind shows at the next start, or piles up over a few; `DIND_TEST_ROUNDS` is for a long look.
const ROUNDS: usize = 5;

/// Starts a container that the engine has to bring back each time, on two networks and with a published port, and one that
/// it has to find dead. Returns the id of the user network.
fn populate(node: &Node) -> String {
    node.until_running();
    let network = node.inner(&["network", "create", "kept"]);
    let published = ["--publish", "8080:80", "--network", "kept"];
    let back = [&["--name", "back", "--restart", "always"], &published[..]].concat();
    node.inner_run(&back, SLEEPS);
    node.inner(&["network", "connect", "bridge", "back"]);
    node.inner_run(&["--name", "gone"], SLEEPS);
    assert_eq!(really_running(node), ["back", "gone"]);
    network
}

/// The node is up again, and knows what has become of its containers and networks.
fn assert_recovered(node: &Node, network: &str) {
    eventually("the container that always restarts is back", LIMIT, || {
        (really_running(node) == ["back"]).then_some(())
    });
    until_no_zombies(node);
    node.exec(&["dind-launch", "status", "--healthy"]).ok();
    assert_eq!(node.inner(&["network", "inspect", "--format", "{{.Id}}", "kept"]), network);
    let connected =
        "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}{{.NetworkSettings.Ports}}";
    let connected = node.inner(&["inspect", "--format", connected, "back"]);
    assert!(connected.starts_with("bridge kept map[80/tcp:[{"), "{connected}");
}

/// Kills a process of the launcher's record, and starts the node again, round after round.
fn kill_and_start(node: &Node, image: Option<&Image>, victim: &str, status: i32) {
    let network = populate(node);
    for round in 0..rounds(ROUNDS) {
        let pid = node.record()[victim].as_i64().unwrap();
        sh(node, &format!("kill -KILL {pid}"));
        assert_eq!(node.exit_status(), status, "round {round}: {}", node.log());
        if let Some(image) = image {
            image.assert_clean();
        }
        node.start_again();
        assert_recovered(node, &network);
    }
}

#[test]
fn a_node_whose_dockerd_is_killed_ends_and_comes_back() {
    let node = Node::start(&[], SLEEP);
    kill_and_start(&node, None, "engine_pid", 125);
    let log = node.log();
    let line = "dind-launch: error: cannot run `dockerd`: it ended with status 137";
    assert_eq!(log.matches(line).count(), rounds(ROUNDS), "{log}");
}

#[test]
fn a_node_whose_containerd_is_killed_ends_and_comes_back_with_its_image() {
    let image = Image::new();
    let node = node(&image.options(), &[], SLEEP);
    kill_and_start(&node, Some(&image), "containerd_pid", 125);
    let log = node.log();
    let line = "dind-launch: error: cannot run `containerd`: it ended with status 137";
    assert_eq!(log.matches(line).count(), rounds(ROUNDS), "{log}");
}

#[test]
fn a_node_whose_main_process_is_killed_ends_and_comes_back() {
    let node = Node::start(&[], SLEEP);
    kill_and_start(&node, None, "main_pid", 137);
    let state = docker(&["inspect", "--format", "{{.State.OOMKilled}}", &node.name]).ok();
    assert_eq!(state, "false");
    assert_eq!(node.stop().0, 143, "{}", node.log());
    // 137 is main's own, not a sign of a launcher that was killed: it has stopped everything in order.
    assert_eq!(node.last_record()["state"], "stopped");
}

#[test]
fn a_killed_shim_ends_its_container_and_nothing_else() {
    let node = Node::start(&[], SLEEP);
    node.until_running();
    let main = node.record()["main_pid"].clone();
    for round in 0..rounds(ROUNDS) {
        let id = node.inner_run(&["--name", "victim"], SLEEPS);
        let pid = node.inner(&["inspect", "--format", "{{.State.Pid}}", &id]);
        // The fourth field of proc_pid_stat(5), after a name without spaces.
        let shim = sh(&node, &format!("cut -d ' ' -f 4 /proc/{pid}/stat"));
        assert!(sh(&node, &format!("cat /proc/{shim}/cmdline")).contains(&id), "{shim} is the shim");
        sh(&node, &format!("kill -KILL {shim}"));
        eventually("the engine knows that the container is dead", LIMIT, || {
            let state = node.inner(&["inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", &id]);
            (state == "exited 137").then_some(())
        });
        node.inner(&["rm", &id]);
        assert!(really_running(&node).is_empty(), "round {round}");
        assert_eq!(sh(&node, &format!("test -e /proc/{pid} && echo alive || true")), "");
        until_no_zombies(&node);
    }
    assert_eq!(node.record()["main_pid"], main, "the node goes on");
    assert_eq!(node.stop().0, 143, "{}", node.log());
}

#[test]
fn a_killed_node_comes_back_with_its_image() {
    let image = Image::new();
    let node = node(&image.options(), &[], SLEEP);
    let network = populate(&node);
    for round in 0..rounds(ROUNDS) {
        docker(&["kill", &node.name]).ok();
        assert_eq!(node.exit_status(), 137, "round {round}");
        image.assert_clean();
        node.start_again();
        assert_recovered(&node, &network);
    }
    assert_eq!(node.stop().0, 143, "{}", node.log());
    image.assert_clean();
}
