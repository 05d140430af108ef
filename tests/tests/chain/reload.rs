//! Settings that are read anew while the node runs. `users` has what a real engine takes over.

use crate::site::Site;
use nix::sys::signal::Signal;
use std::fs;
use std::process::Stdio;

#[test]
fn a_reload_that_the_stop_of_the_node_interrupts_leaves_the_former_settings() {
    // It never confirms what it was asked to take over.
    let site = Site::new().mode("dockerd", "answer");
    let [own, merged] = ["daemon.json", "run/dind/daemon.json"].map(|file| site.path().join(file));
    fs::write(&own, r#"{"labels": ["a=b"]}"#).unwrap();
    let mut command = site.command(&["run", "--", "sleep", "infinity"]);
    command.env("DOCKER_DAEMON_ARGS", format!("--config-file={}", own.display()));
    let running = site.spawn_command(command);
    running.until_state("running");
    let before = fs::read_to_string(&merged).unwrap();
    assert!(before.contains("a=b"), "{before}");

    fs::write(&own, r#"{"labels": ["a=c"]}"#).unwrap();
    let mut asking = running.launcher_command(&["reload"]);
    let mut asking = asking.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    running.until_event("dockerd SIGHUP");
    let handed_over = fs::read_to_string(&merged).unwrap();
    assert!(handed_over.contains("a=c"), "{handed_over}");
    running.signal(Signal::SIGTERM);
    assert_eq!(running.finish().status.code(), Some(143));
    asking.wait().unwrap();
    assert_eq!(fs::read_to_string(&merged).unwrap(), before);
}
