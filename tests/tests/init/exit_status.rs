//! The exit status: the command's own, 128 and its signal, or why it could not be executed.

use crate::harness::{STANDS, Stand, init, status, words};
use crate::{HARMLESS, INTERNAL, each, signals_but};
use dind_tests::scratch;
use std::process::{Command, Stdio};

#[test]
fn all_256_exit_statuses_are_kept() {
    for stand in STANDS {
        let codes: Vec<i32> = (0..=255).collect();
        each(&codes, |code| assert_eq!(status(stand, &format!("exit {code}")), code, "{stand:?}"));
    }
}

#[test]
fn death_by_a_signal_is_128_and_its_number() {
    for stand in STANDS {
        each(&signals_but(&[&HARMLESS, &INTERNAL[1..]]), |number| {
            let script = format!("ulimit -c 0; kill -{number} $$; sleep 60");
            assert_eq!(status(stand, &script), 128 + number, "{stand:?}: signal {number}");
        });
    }
}

#[test]
fn a_command_that_cannot_be_executed_is_one_error_and_126_or_127() {
    let directory = scratch();
    let file = directory.path().join("not-executable");
    std::fs::write(&file, "#!/bin/sh\n").unwrap();
    for stand in STANDS {
        for (command, code) in [
            ("/nonexistent", 127),
            ("no-such-command-anywhere", 127),
            (file.to_str().unwrap(), 126),
            (directory.path().to_str().unwrap(), 126),
        ] {
            let output = init(stand, &[command]).output().unwrap();
            assert_eq!(output.status.code(), Some(code), "{command}");
            assert!(output.stdout.is_empty(), "stdout is the command's");
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert_eq!(stderr.lines().count(), 1, "{stderr}");
            assert!(
                stderr.starts_with("dind-reaper: error: cannot execute") && stderr.contains(command),
                "{stderr}"
            );
        }
    }
}

#[test]
fn no_command_is_a_usage_error() {
    let output = init(Stand::Other, &[]).output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
}

#[test]
fn closed_or_broken_output_changes_no_exit_status() {
    let reaper = words(Stand::Other).join(" ");
    for (script, code) in [
        (format!("{reaper} sh -c 'echo lost; exit 5' >&-"), 5),
        (format!("{reaper} sh -c 'exit 5' <&- >&- 2>&-"), 5),
        (format!("{reaper} /nonexistent 2>&-"), 127),
        (format!("{reaper} /nonexistent 2>/dev/full"), 127),
    ] {
        let status = Command::new("sh").args(["-c", &script]).stderr(Stdio::null()).status().unwrap();
        assert_eq!(status.code(), Some(code), "{script}");
    }
    // The reader goes away: the command gets its SIGPIPE, and the init's exit status says so.
    let script = format!("{{ {reaper} yes; echo $? >&2; }} | head -n 1");
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "141\n");
}
