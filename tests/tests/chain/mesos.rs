//! A Mesos agent as the main process.

use crate::site::{Site, stderr};
use dind_tests::within;
use nix::sys::signal::Signal;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

/// A main process by the name of the agent, which prints what it gets.
const AGENT: &str = "#!/bin/sh
env | grep ^MESOS_ | sort
trap 'echo USR1' USR1
trap 'echo TERM; exit 9' TERM
touch /run/up
while :; do sleep 0.05; done
";

#[test]
fn a_mesos_agent_is_found_gets_its_defaults_and_is_asked_to_leave() {
    for (wanted, expected) in [("", "USR1\nTERM\n"), ("TERM", "TERM\n")] {
        let site = Site::new();
        fs::write(site.path().join("mesos-agent"), AGENT).unwrap();
        fs::set_permissions(site.path().join("mesos-agent"), fs::Permissions::from_mode(0o755)).unwrap();
        let own = [("MESOS_RESOURCES", "cpus:7"), ("DIND_MAIN_STOP_SIGNAL", wanted)];
        let mut command = site.command(&["run"]);
        command.envs(own);
        let running = site.spawn_command(command);
        running.until_up();
        let record = site.record();
        assert_eq!(record["command"][0], "mesos-agent");
        assert_eq!(record["mesos"]["kept"][0], "MESOS_RESOURCES");
        let asked = Instant::now();
        running.signal(Signal::SIGTERM);
        let output = running.finish();
        assert_eq!(output.status.code(), Some(9), "{}", stderr(&output));
        // USR1 leaves this agent running, and the main process has 35 % of 3 s.
        within("the stop", asked.elapsed(), Duration::from_secs(2));
        let stdout = String::from_utf8(output.stdout).unwrap();
        let defaults = record["mesos"]["defaults"].as_object().unwrap();
        let mut lines: Vec<String> =
            defaults.iter().map(|(name, value)| format!("{name}={}", value.as_str().unwrap())).collect();
        lines.push("MESOS_RESOURCES=cpus:7".to_owned());
        lines.sort();
        assert_eq!(stdout, format!("{}\n{expected}", lines.join("\n")));
    }
}
