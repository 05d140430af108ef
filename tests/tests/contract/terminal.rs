//! `doctor` on a terminal.

use crate::text;
use dind_tests::bin;
use dind_tests::terminal::OnTerminal;
use std::process::Command;

fn doctor(args: &[&str]) -> Command {
    let mut command = Command::new(bin("dind-launch"));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("TERM", "xterm");
    command.arg("doctor").args(args);
    command
}

/// Whatever is missing on this machine: the table names the same checks as the document, and ends alike.
#[test]
fn a_terminal_gets_the_same_examination_as_a_table() {
    let piped = doctor(&[]).output().unwrap();
    let document: serde_json::Value = serde_json::from_slice(&piped.stdout).unwrap();
    let failed = document["ok"] == false;
    let checks = if failed { &document["error"]["details"]["checks"] } else { &document["result"]["checks"] };
    let checks = checks.as_array().unwrap();
    let (status, shown) = OnTerminal::spawn(doctor(&[]), 120).to_the_end();
    assert_eq!(Some(status), piped.status.code(), "{shown}");
    assert!(shown.contains('\x1b') && !shown.contains("{\""), "{shown}");
    let mut plain = doctor(&[]);
    plain.env("NO_COLOR", "1");
    let (_, plain) = OnTerminal::spawn(plain, 120).to_the_end();
    assert!(!plain.contains('\x1b'), "{plain}");
    // A paragraph's lines are one text.
    let words = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    for check in checks {
        let (name, verdict) = (check["name"].as_str().unwrap(), check["verdict"].as_str().unwrap());
        let expected = match verdict {
            "ok" => name.to_owned(),
            other => format!(
                "{other} {name}: {} fix {}",
                check["found"].as_str().unwrap(),
                check["hint"].as_str().unwrap()
            ),
        };
        let expected = expected.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(&expected), "{expected}: {plain}");
    }
    let result = if failed { "result a node cannot run here" } else { "result a node can run here" };
    assert!(words.contains(result), "{plain}");
    // What the table has is not said twice.
    assert!(!words.contains("dind-launch: cause:"), "{plain}");
}

#[test]
fn the_sets_of_flags_can_be_copied() {
    let table = doctor(&["--run-flags", "--output", "table"]).output().unwrap();
    if table.status.success() {
        let shown = text(&table.stdout);
        let flags = shown.lines().filter_map(|line| line.strip_prefix("  flags   "));
        assert!(flags.clone().count() >= 3, "{shown}");
        assert!(flags.into_iter().all(|line| line.starts_with("--")), "{shown}");
    } else {
        assert!(text(&table.stderr).contains("dind-launch: error: "), "{}", text(&table.stderr));
    }
}
