//! Lines for people never block a tool.
#![allow(clippy::print_stderr)]

use dind_contract::finish::print;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Set for the child that writes.
const WRITES: &str = "DIND_TEST_WRITES";

#[test]
fn a_reader_that_does_not_read_is_not_waited_for() {
    const LINES: usize = 40;
    let line = "x".repeat(4096);
    if std::env::var_os(WRITES).is_some() {
        // Forty lines are more than a pipe holds.
        print(&vec![line; LINES]);
        return;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "--nocapture", "a_reader_that_does_not_read_is_not_waited_for"])
        .env(WRITES, "1");
    let started = Instant::now();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    assert!(child.wait().unwrap().success());
    assert!(started.elapsed() < Duration::from_secs(60));
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    let whole = text.lines().filter(|read| *read == line).count();
    assert!((1..LINES).contains(&whole), "{whole} lines");
}
