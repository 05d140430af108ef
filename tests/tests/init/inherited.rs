//! What the command inherits: output, signal mask, descriptors, directory.

use crate::harness::{Living, SOON, STANDS, Stand, init, words};
use dind_tests::eventually;
use std::path::Path;
use std::process::Command;

#[test]
fn nothing_but_the_command_writes_to_stdout_and_stderr() {
    let output = init(Stand::Other, &["sh", "-c", "echo out; echo err >&2"]).output().unwrap();
    assert_eq!((&*output.stdout, &*output.stderr), (&b"out\n"[..], &b"err\n"[..]));
}

#[test]
fn the_command_inherits_the_signal_mask_and_dispositions() {
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
fn the_command_gets_three_descriptors_and_its_directory() {
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
        // The init's own directory keeps no mount busy.
        let living = Living::start(stand, &["sh", "-c", "echo ready; exec cat"]);
        let cwd = format!("/proc/{}/cwd", living.pid);
        eventually("the init is in /", SOON, || {
            (std::fs::read_link(&cwd).unwrap() == Path::new("/")).then_some(())
        });
        assert_eq!(living.end(), 0);
    }
}
