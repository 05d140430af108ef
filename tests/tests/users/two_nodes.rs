//! Two nodes on one data root that is used as it is: a second node never harms the first, and says who that is.

use dind_tests::outer::{
    LIMIT, Node, SLEEP, ShellImage, Volume, docker, image, inner_image, readme_entrypoint,
};
use dind_tests::{eventually, within};
use std::thread;
use std::time::{Duration, Instant};

fn on(volume: &Volume) -> String {
    format!("{}:/var/lib/docker", volume.name)
}

/// The name that a node has for others: the outer engine's short id of it.
fn host_name(node: &Node) -> String {
    docker(&["inspect", "--format", "{{.Config.Hostname}}", &node.name]).ok()
}

#[test]
fn the_second_node_on_a_data_root_is_refused_by_name_and_the_first_is_unharmed() {
    let volume = Volume::new();
    let first = Node::start(&["--volume", &on(&volume)], SLEEP);
    first.until_running();
    // What a second engine would take for stale is the first one's record of its networks.
    first.inner(&["network", "create", "kept"]);
    let running = first.inner_run(&["--network", "kept"], "exec sleep 1000");

    let asked = Instant::now();
    let second = Node::start(&["--volume", &on(&volume)], SLEEP);
    let started = asked.elapsed();
    assert_eq!(second.exit_status(), 125, "{}", second.log());
    within("the refusal", asked.elapsed().saturating_sub(started), Duration::from_secs(2));
    let log = second.log();
    assert!(log.contains("data-root-in-use") && log.contains(&host_name(&first)), "{log}");

    first.exec(&["dind-launch", "status", "--healthy"]).ok();
    assert_eq!(first.inner(&["inspect", "--format", "{{.State.Running}}", &running]), "true");
    assert!(first.inner(&["network", "ls", "--format", "{{.Name}}"]).lines().any(|name| name == "kept"));
    // Its own `plan` is not refused.
    assert_eq!(first.exec(&["dind-storage", "plan"]).status, 0);

    docker(&["kill", &first.name]).ok();
    assert_eq!(first.exit_status(), 137);
    second.start_again();
    assert!(second.inner(&["network", "ls", "--format", "{{.Name}}"]).lines().any(|name| name == "kept"));
}

#[test]
fn a_frozen_node_keeps_its_data_root() {
    let volume = Volume::new();
    let first = Node::start(&["--volume", &on(&volume)], SLEEP);
    first.until_running();
    docker(&["pause", &first.name]).ok();
    let second = Node::start(&["--volume", &on(&volume)], SLEEP);
    let status = second.exit_status();
    docker(&["unpause", &first.name]).ok();
    assert_eq!(status, 125, "{}", second.log());
    assert!(second.log().contains(&host_name(&first)), "{}", second.log());
    first.exec(&["dind-launch", "status", "--healthy"]).ok();
}

#[test]
fn of_nodes_that_start_on_a_data_root_at_the_same_time_exactly_one_runs() {
    for _ in 0..3 {
        let volume = Volume::new();
        let main = ["sh", "-c", "trap 'exit 7' TERM; sleep infinity & wait"];
        let start = || Node::start(&["--volume", &on(&volume)], &main);
        let nodes: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..3).map(|_| scope.spawn(start)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let (ended, running): (Vec<&Node>, Vec<&Node>) = eventually("two of three have ended", LIMIT, || {
            let has_ended = |node: &&Node| node.process().is_none();
            let parts = nodes.iter().partition::<Vec<_>, _>(has_ended);
            (parts.0.len() == 2).then_some(parts)
        });
        assert!(ended.iter().all(|node| node.exit_status() == 125));
        assert_eq!(running[0].until_running().stop().0, 7);
        let refused = nodes.iter().filter(|node| node.log().contains("cannot use `/var/lib/docker`: "));
        assert_eq!(refused.count(), 2);
    }
}

#[test]
fn a_node_with_a_shell_entrypoint_has_its_data_root_for_itself_too() {
    let volume = Volume::new();
    let shell = ShellImage::build(&readme_entrypoint());
    let options = ["--privileged", "--volume", &on(&volume)];
    let first = Node::of_image(&shell.name, &options, SLEEP);
    dind_tests::eventually("its engine answers", dind_tests::outer::LIMIT, || {
        (first.exec(&["docker", "version"]).status == 0).then_some(())
    });
    for image in [&shell.name, &image()] {
        let second = Node::of_image(image, &options, SLEEP);
        // Of the shell, the status is that of `dind-storage apply`.
        let expected = if *image == shell.name { 75 } else { 125 };
        assert_eq!(second.exit_status(), expected, "{}", second.log());
        let log = second.log();
        assert!(log.contains(&format!("the node `{}` has it", host_name(&first))), "{log}");
    }
    assert_eq!(first.exec(&["docker", "load", "--quiet", "--input", "/preload/inner.tar"]).status, 0);
    assert_eq!(first.exec(&["docker", "run", "--rm", &inner_image(), "echo", "hello"]).ok(), "hello");
    // Its engine may lock the databases, and an `apply` in the node is no second node.
    assert_eq!(first.exec(&["dind-storage", "apply"]).status, 0);
}
