//! A warm node, claimed as people do it: by `docker exec`.

use dind_tests::eventually;
use dind_tests::outer::{LIMIT, Node, docker, inner_image};

fn held() -> Node {
    let node = Node::start(&["--env", "DIND_HOLD=true"], &[]);
    node.until_running();
    assert_eq!(node.record()["hold"], "waiting");
    node
}

#[test]
fn a_claimed_command_uses_the_engine_and_its_end_is_the_node_s() {
    let node = held();
    let image = inner_image();
    let script = format!(
        "docker run --detach --name left {image} sleep infinity >&2; docker run --rm {image} echo \"$JOB\" in $PWD; exit 7"
    );
    let exec = ["exec", "--env", "JOB=47", "--workdir", "/tmp", &node.name, "dind-launch"];
    let claimed = docker(&[&exec[..], &["claim", "--", "sh", "-c", &script]].concat());
    assert_eq!((claimed.status, claimed.stdout.as_str()), (7, "47 in /tmp"), "{claimed:?} {}", node.log());
    assert_eq!(node.exit_status(), 7, "{}", node.log());
    // A restarted container waits again, and what was left over was stopped in order.
    docker(&["start", &node.name]).ok();
    node.until_running();
    assert_eq!(node.record()["hold"], "waiting");
    assert_eq!(
        node.inner(&["inspect", "--format", "{{.State.ExitCode}} {{.State.Running}}", "left"]),
        "137 false"
    );
}

#[test]
fn a_claim_with_a_terminal_has_it_and_the_stop_of_the_node_asks_the_command() {
    let node = held();
    let script = "trap 'exit 9' TERM; tty; stat -c %t:%T /dev/tty >/dev/null && cut -d' ' -f5,6,8 /proc/$$/stat; touch /run/up; sleep infinity & wait";
    let name = node.name.clone();
    let claim = std::thread::spawn(move || {
        docker(&["exec", "--tty", &name, "dind-launch", "claim", "--", "sh", "-c", script])
    });
    eventually("it is claimed", LIMIT, || (node.record()["hold"] == "claimed").then_some(()));
    assert_eq!(docker(&["exec", &node.name, "dind-launch", "claim", "--", "true"]).status, 125);
    eventually("the command is up", LIMIT, || {
        (node.exec(&["test", "-e", "/run/up"]).status == 0).then_some(())
    });
    docker(&["stop", "--time", "60", &node.name]).ok();
    assert_eq!(node.exit_status(), 9, "{}", node.log());
    let claim = claim.join().unwrap();
    let groups: Vec<_> = claim.stdout.split_whitespace().collect();
    assert!(groups[0].starts_with("/dev/pts/"), "{claim:?}");
    assert!(groups[1] == groups[2] && groups[1] == groups[3], "its own session has the terminal: {claim:?}");
}
