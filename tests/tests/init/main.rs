//! The truth table of an init: exit status, signals, orphans, descriptors, terminal. `dind-reaper exec` stands for
//! `dind-launch run` too: both are made of the same supervisor. The rows are those of tini's, dumb-init's and
//! catatonit's tests. No engine, and no root where user namespaces are allowed.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "init/harness.rs"]
mod harness;
#[path = "init/terminal.rs"]
mod terminal;

use dind_tests::eventually;
use harness::{Living, SOON, STANDS, Stand, children, init, status, test_child, words};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The kernel lets nobody catch these.
const UNCATCHABLE: [i32; 2] = [9, 19];
/// ILL, TRAP, ABRT, BUS, FPE, SEGV, SYS: they mean that the init itself is broken.
const OWN: [i32; 7] = [4, 5, 6, 7, 8, 11, 31];
/// SIGCHLD is the init's own news; 32 and 33 belong to glibc.
const INTERNAL: [i32; 3] = [17, 32, 33];
/// What does not end a process by default: CHLD, CONT, STOP, TSTP, TTIN, TTOU, URG, WINCH.
const HARMLESS: [i32; 8] = [17, 18, 19, 20, 21, 22, 23, 28];
const RTMIN: i32 = 34;

fn signals_but(excluded: &[&[i32]]) -> Vec<i32> {
    (1..=64).filter(|number| !excluded.iter().any(|set| set.contains(number))).collect()
}

/// Runs all, a few at a time.
fn each<T: Copy + Sync + std::fmt::Debug>(all: &[T], check: impl Fn(T) + Sync) {
    std::thread::scope(|scope| {
        for part in all.chunks(all.len().div_ceil(4)) {
            scope.spawn(|| part.iter().for_each(|one| check(*one)));
        }
    });
}

#[test]
fn all_256_exit_codes() {
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
fn a_command_that_cannot_be_executed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("not-executable");
    std::fs::write(&file, "#!/bin/sh\n").unwrap();
    for stand in STANDS {
        for (command, code) in [
            ("/nonexistent", 127),
            ("no-such-command-anywhere", 127),
            (file.to_str().unwrap(), 126),
            (folder.path().to_str().unwrap(), 126),
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
fn a_command_is_alone_with_stdout_and_stderr() {
    let output = init(Stand::Other, &["sh", "-c", "echo out; echo err >&2"]).output().unwrap();
    assert_eq!((&*output.stdout, &*output.stderr), (&b"out\n"[..], &b"err\n"[..]));
}

#[test]
fn every_signal_reaches_the_command_once_and_in_order() {
    for stand in STANDS {
        let mut living = Living::start(stand, &[test_child(), "signals"]);
        for number in signals_but(&[&UNCATCHABLE, &OWN, &INTERNAL]) {
            living.signal(number);
            assert_eq!(living.line(), number.to_string(), "{stand:?}");
        }
        // A SIGCHLD from outside is not forwarded: what comes next is the next signal.
        living.signal(17);
        living.signal(RTMIN + 3);
        assert_eq!(living.line(), (RTMIN + 3).to_string());
        assert_eq!(living.end(), 7, "{stand:?}: the command outlives them all, and so does the init");
    }
}

#[test]
fn real_time_signals_are_counted() {
    for stand in STANDS {
        let mut living = Living::start(stand, &[test_child(), "signals"]);
        let kills = format!("kill -{0} {1}; ", RTMIN + 3, living.pid).repeat(50);
        assert!(Command::new("sh").args(["-c", &kills]).status().unwrap().success());
        for _ in 0..50 {
            assert_eq!(living.line(), (RTMIN + 3).to_string());
        }
        living.signal(10);
        assert_eq!(living.line(), "10", "and not one more");
        assert_eq!(living.end(), 7);
    }
}

#[test]
fn mask_and_dispositions_are_handed_on_as_they_were() {
    let show = ["grep", "^Sig[BI]", "/proc/self/status"];
    for signals in [
        vec![],
        vec!["--block-signal=USR2,RTMIN+3", "--ignore-signal=HUP,TTOU"],
        vec!["--ignore-signal=PIPE"],
        vec!["--ignore-signal=CHLD,INT,QUIT", "--block-signal=TERM"],
    ] {
        let run = |words: &[String]| {
            let output = Command::new("env").args(&signals).args(words).args(show).output().unwrap();
            assert_eq!(output.status.code(), Some(0), "{signals:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        assert_eq!(run(&words(Stand::Other)), run(&[]), "{signals:?}");
    }
}

#[test]
fn the_command_gets_three_descriptors_and_its_folder() {
    let many = r#"for fd in $(seq 3 53); do eval "exec $fd</dev/null"; done; exec "$@""#;
    for stand in STANDS {
        let output = Command::new("bash")
            .args(["-c", many, "bash"])
            .args(words(stand))
            .args(["sh", "-c", "ls /proc/$$/fd; pwd"])
            .current_dir("/usr")
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "0\n1\n2\n/usr\n", "{stand:?}");
        // While ours pins no mount.
        let living = Living::start(stand, &["sh", "-c", "echo ready; exec cat"]);
        let cwd = format!("/proc/{}/cwd", living.pid);
        eventually("the init stands in /", SOON, || {
            (std::fs::read_link(&cwd).unwrap() == Path::new("/")).then_some(())
        });
        assert_eq!(living.end(), 0);
    }
}

#[test]
fn a_thousand_orphans_leave_no_zombie() {
    // The last orphan lives on: it shows that they come to us.
    let script = "exec 3<&0; for i in $(seq 1000); do (true &); done; (cat <&3 &); echo ready; exec cat";
    for stand in STANDS {
        let living = Living::start(stand, &["sh", "-c", script]);
        let command_and_orphan = eventually("all dead orphans are reaped", SOON, || {
            let left: BTreeSet<i32> = children(living.pid).into_iter().collect();
            (left.len() == 2).then_some(left)
        });
        assert_eq!(command_and_orphan.len(), 2, "{stand:?}");
        assert_eq!(living.end(), 0);
    }
}

#[test]
fn children_that_ended_before_we_became_the_init_are_reaped() {
    let output = Command::new(test_child())
        .arg("zombie")
        .args(words(Stand::Other))
        .args(["sh", "-c", "echo $$; cat /proc/$PPID/task/$PPID/children"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (own, children) = text.split_once('\n').unwrap();
    assert_eq!(children.trim(), own, "the init's only child is its command");
}

#[test]
fn a_signal_is_handled_at_once_amid_a_storm_of_orphans() {
    let storm = r#"(while kill -0 $$ 2>/dev/null; do (true &); done) & exec "$0" signals"#;
    for stand in STANDS {
        let mut living = Living::start(stand, &["sh", "-c", storm, test_child()]);
        let mut times: Vec<Duration> = (0..9)
            .map(|_| {
                let sent = Instant::now();
                living.signal(15);
                assert_eq!(living.line(), "15");
                sent.elapsed()
            })
            .collect();
        times.sort();
        assert!(times[4] < Duration::from_millis(100), "{stand:?}: {times:?}");
        assert_eq!(living.end(), 7);
    }
}

#[test]
fn closed_or_broken_output_ends_nobody() {
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
    // The reader goes away: the command gets its SIGPIPE, and the init tells of it.
    let script = format!("{{ {reaper} yes; echo $? >&2; }} | head -n 1");
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "141\n");
}
