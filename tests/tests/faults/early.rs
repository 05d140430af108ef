//! TERM while the node starts, and an engine that does not start.

use crate::fixtures::Image;
use dind_tests::outer::{Node, SLEEP, Share, image};
use dind_tests::within;
use std::time::Duration;

/// Waits until the launcher has taken over the signals (before that, the kernel keeps them from PID 1), and then for the delay
/// that the test has written down. `never` is not a number, so that nothing is sent.
const SELF_STOPPING: &str = "(until grep -q '^SigBlk:.*[1-9a-f]' /proc/1/status; do :; done
    sleep \"$(cat /share/delay)\" && kill -TERM 1) >/dev/null 2>&1 & exec dind-launch run -- sleep infinity";

#[test]
fn term_at_any_moment_of_the_start_undoes_it_and_the_next_start_succeeds() {
    for delay in ["0", "0.02", "0.1", "0.3", "1"] {
        let (loops, share) = (Image::new(), Share::new());
        std::fs::write(share.path("delay"), delay).unwrap();
        let (volume, own) = (share.volume(), loops.options());
        let mut options = vec!["--privileged", "--entrypoint", "sh", "--volume", &volume];
        options.extend(own.iter().map(String::as_str));
        let node = Node::of_image(&image(), &options, &["-c", SELF_STOPPING]);
        assert_eq!(node.exit_status(), 143, "after {delay} s: {}", node.log());
        loops.assert_clean_or_missing();
        loops.assert_no_remains();
        let record = node.last_record();
        assert_eq!(record["state"], "stopped", "after {delay} s: {}", node.log());
        let last = record["stages"].as_array().unwrap().last();
        let end = last.map_or(0, |stage| stage["end_ms"].as_u64().expect("it has ended"));
        let asked = Duration::from_secs_f64(delay.parse().unwrap());
        let took = Duration::from_millis(end).saturating_sub(asked);
        within(format!("the stop {delay} s after the start: {record}"), took, Duration::from_secs(2));

        std::fs::write(share.path("delay"), "never").unwrap();
        node.start_again();
        assert_eq!(node.stop().0, 143, "{}", node.log());
        loops.assert_clean();
    }
}

/// Options of a storage driver are read where there is one.
const GRAPH: [&str; 2] = ["--env", "DIND_STORAGE_STORE=graph"];

#[test]
fn an_engine_that_does_not_start_ends_the_node_with_125_and_the_engine_s_message() {
    for (args, words) in [
        ("--no-such-flag", "unknown flag: --no-such-flag"),
        ("--log-level=loud", "loud"),
        ("--storage-opt nonsense", "nonsense"),
    ] {
        let loops = Image::new();
        let own = loops.options();
        let args_env = format!("DOCKER_DAEMON_ARGS={args}");
        let options: Vec<&str> = own
            .iter()
            .map(String::as_str)
            .chain(["--env", &args_env, "--env", "LOG=file"])
            .chain(GRAPH)
            .collect();
        let node = Node::start(&options, SLEEP);
        assert_eq!(node.exit_status(), 125, "{}", node.log());
        let log = node.log();
        assert!(log.contains("dind-launch: error: cannot run `dockerd`: it ended with status 1"), "{log}");
        // Its log went to a file, so what is here is the launcher's own.
        let causes = log.lines().filter(|line| line.starts_with("dind-launch: cause: "));
        assert!(causes.into_iter().any(|line| line.contains(words)), "{args}: {log}");
        let record = node.last_record();
        assert_eq!((&record["state"], &record["error"]["code"]), (&"failed".into(), &"engine-died".into()));
        // Not the sixty seconds that a ready timeout would have taken.
        let engine = record["stages"].as_array().unwrap().iter().find(|stage| stage["name"] == "engine");
        let engine = engine.unwrap();
        let took = engine["end_ms"].as_u64().unwrap() - engine["start_ms"].as_u64().unwrap();
        within("the stage of the engine", Duration::from_millis(took), Duration::from_secs(10));
        loops.assert_clean();
    }
}
