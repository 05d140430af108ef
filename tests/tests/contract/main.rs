//! The contract that makes the four tools one: README.md of `dind-launch/contract`. What is here holds for all of them,
//! by path, as any caller sees it. No root, no engine; nothing is changed.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod help;
mod readmes;
mod terminal;

use assert_cmd::Command;
use dind_tests::{bin, stretched};
use serde_json::Value;
use std::time::Duration;

/// A tool, and the schema of its documents.
const TOOLS: [(&str, &str); 4] = [
    ("dind-storage", "dind.storage/v1"),
    ("dind-net", "dind.net/v1"),
    ("dind-reaper", "dind.reaper/v1"),
    ("dind-launch", "dind.launch/v1"),
];

/// The statuses of the contract.
const STATUSES: [i32; 7] = [0, 69, 73, 74, 75, 77, 78];

/// A socket where no engine listens.
const NO_ENGINE: &str = "--host=unix:///nonexistent/docker.sock";

/// A run: variables and arguments, the exit status (none where it depends on the machine), and the error's code.
struct Case {
    tool: &'static str,
    env: &'static [(&'static str, &'static str)],
    args: &'static [&'static str],
    status: Option<i32>,
    code: Option<&'static str>,
}

const fn case(
    tool: &'static str,
    env: &'static [(&'static str, &'static str)],
    args: &'static [&'static str],
    status: Option<i32>,
    code: Option<&'static str>,
) -> Case {
    Case { tool, env, args, status, code }
}

const CALCULATOR: [&str; 6] = [
    "plan",
    "--address=172.17.0.5/16",
    "--gateway=172.17.0.1",
    "--offset=0.0.1.0",
    "--size=24",
    "--output=json",
];
const BAD_OFFSET: [&str; 5] =
    ["plan", "--address=172.17.0.5/16", "--gateway=172.17.0.1", "--offset=0.0.0.0", "--size=24"];

const CASES: [Case; 19] = [
    case("dind-storage", &[], &["plan"], None, None),
    case("dind-storage", &[("VAR_LIB_DOCKER_SIZE", "abc")], &["plan"], Some(78), Some("size-invalid")),
    case("dind-storage", &[("VAR_LIB_DOCKER_SIZE", "abc")], &["apply"], Some(78), Some("size-invalid")),
    case("dind-storage", &[("DIND_ROOT", "/nonexistent")], &["apply"], Some(78), Some("root-is-fake")),
    case("dind-net", &[], &CALCULATOR, Some(0), None),
    case("dind-net", &[], &BAD_OFFSET, Some(78), Some("range-holds-gateway")),
    case(
        "dind-net",
        &[],
        &["plan", "--address=172.17.0.5/16", "--gateway=172.17.0.1", "--offset=1.2.3"],
        Some(78),
        Some("offset-invalid"),
    ),
    case("dind-net", &[("DOCKER_NETWORK_OFFSET", "1.2.3")], &["apply"], Some(78), Some("offset-invalid")),
    case("dind-reaper", &[], &["plan", NO_ENGINE], Some(69), Some("engine-unavailable")),
    case("dind-reaper", &[], &["stop", NO_ENGINE], Some(69), Some("engine-unavailable")),
    case("dind-reaper", &[], &["stop", "--budget=soon"], Some(78), Some("budget-invalid")),
    case("dind-reaper", &[("DIND_STOP_BUDGET", "-1s")], &["watch"], Some(78), Some("budget-invalid")),
    case(
        "dind-reaper",
        &[("DOCKER_HOST", "tcp://[::1]:2375")],
        &["stop"],
        Some(78),
        Some("docker-host-unsupported"),
    ),
    case("dind-reaper", &[("DIND_ROOT", "/nonexistent")], &["stop"], Some(78), Some("root-is-fake")),
    case("dind-launch", &[], &["plan"], None, None),
    case("dind-launch", &[("DIND_READY_TIMEOUT", "soon")], &["plan"], Some(78), Some("duration-invalid")),
    case("dind-launch", &[("LOG", "syslog")], &["plan"], Some(78), Some("log-invalid")),
    case("dind-launch", &[], &["doctor"], None, None),
    case("dind-launch", &[("DIND_ROOT", "/nonexistent")], &["prepare"], Some(78), Some("root-is-fake")),
];

fn schema_of(tool: &str) -> &'static str {
    TOOLS.iter().find(|(name, _)| *name == tool).unwrap().1
}

/// A tool with nothing in its environment but a PATH.
fn tool(name: &str) -> Command {
    let mut command = Command::new(bin(name));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .timeout(stretched(Duration::from_secs(20)));
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn help_and_version_are_printed_and_succeed() {
    for (name, _) in TOOLS {
        for flag in ["--help", "--version"] {
            let output = tool(name).arg(flag).output().unwrap();
            assert_eq!(output.status.code(), Some(0), "{name} {flag}");
            assert!(
                text(&output.stdout).contains(if flag == "--help" { "Usage" } else { name }),
                "{name} {flag}"
            );
            assert!(output.stderr.is_empty(), "{name} {flag}");
        }
    }
}

#[test]
fn an_invalid_command_line_ends_with_2_and_prints_nothing_on_stdout() {
    for (name, _) in TOOLS {
        // What follows `dind-launch plan` may be the command.
        let verb = if name == "dind-launch" { "doctor" } else { "plan" };
        for args in [&["no-such-verb"][..], &["--no-such-flag"], &[verb, "--no-such-flag"], &[]] {
            let output = tool(name).args(args).output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{name} {args:?}");
            assert!(output.stdout.is_empty(), "{name} {args:?}: {}", text(&output.stdout));
            assert!(!output.stderr.is_empty(), "{name} {args:?}");
        }
    }
}

#[test]
fn every_other_run_prints_one_line_that_is_one_object() {
    for case in CASES {
        let name = format!("{:?} {} {:?}", case.env, case.tool, case.args);
        let output = tool(case.tool).envs(case.env.iter().copied()).args(case.args).output().unwrap();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert!(stdout.ends_with('\n') && stdout.lines().count() == 1, "{name}: {stdout}");
        let document: Value = serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{name}: {error}"));
        let status = output.status.code().unwrap_or_else(|| panic!("{name}: {}", output.status));
        if let Some(expected) = case.status {
            assert_eq!(status, expected, "{name}: {stdout}");
        }
        assert!(STATUSES.contains(&status), "{name}: {status}");
        assert_eq!(document["schema"], schema_of(case.tool), "{name}");
        assert_eq!(document["ok"], Value::from(status == 0), "{name}");
        let verb = case.args.iter().find(|arg| !arg.starts_with('-')).unwrap();
        assert_eq!(document["mode"], **verb, "{name}");
        assert!(document["steps"].is_array(), "{name}");
        if status == 0 {
            success(&name, &document);
        } else {
            failure(&name, &document, &stderr, case.code);
        }
        for line in stderr.lines() {
            assert!(
                line.starts_with(&format!("{}: ", case.tool)),
                "{name}: a line without the tool's name: {line}"
            );
        }
    }
}

fn success(name: &str, document: &Value) {
    assert!(document["changed"].is_boolean(), "{name}");
    assert!(document["result"].is_object(), "{name}");
    assert!(document["engine"]["config"].is_object(), "{name}");
    for warning in document["warnings"].as_array().unwrap() {
        assert!(warning["code"].is_string() && warning["message"].is_string(), "{name}: {warning}");
    }
    if document["mode"] == "plan" {
        assert_eq!(document["changed"], false, "{name}");
    }
}

fn failure(name: &str, document: &Value, stderr: &str, expected: Option<&str>) {
    let error = &document["error"];
    let code = error["code"].as_str().unwrap();
    if let Some(expected) = expected {
        assert_eq!(code, expected, "{name}: {error}");
    }
    assert!(code.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'), "{name}: {code}");
    let message = error["message"].as_str().unwrap();
    let (what, cause) =
        message.split_once(": ").unwrap_or_else(|| panic!("{name}: not WHAT: CAUSE: {error}"));
    assert!(!what.is_empty() && !cause.is_empty() && !message.contains('\n'), "{name}: {error}");
    assert_ne!(error["hint"].as_str().unwrap(), "", "{name}: an error without a hint");
    assert!(error["causes"].is_array(), "{name}");
    assert!(stderr.contains(&format!(": error: {message}\n")), "{name}: {stderr}");
}

#[test]
fn flags_are_one_line_and_a_failure_is_a_flag_that_dockerd_refuses() {
    for case in CASES.iter().filter(|case| case.status.is_some() && !case.args.contains(&"--output=json")) {
        let output = tool(case.tool)
            .envs(case.env.iter().copied())
            .args(case.args)
            .args(["--output", "flags"])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), case.status, "{} {:?}", case.tool, case.args);
        assert_eq!(text(&output.stdout), format!("--{}-failed={}\n", case.tool, case.code.unwrap()));
    }
    let output = tool("dind-net").args(&CALCULATOR[..5]).args(["--output", "flags"]).output().unwrap();
    let line = text(&output.stdout);
    assert_eq!((output.status.code(), line.lines().count()), (Some(0), 1));
    let words: Vec<&str> = line.split_whitespace().collect();
    assert!(
        words.contains(&"--bip=172.17.0.5/16") && words.contains(&"--fixed-cidr=172.17.1.0/24"),
        "{line}"
    );
}

#[test]
fn an_empty_variable_counts_as_unset() {
    for (name, args, variables) in [
        (
            "dind-storage",
            &["plan"][..],
            &["VAR_LIB_DOCKER_SIZE", "DIND_DATA_ROOT", "DIND_STORAGE_DRIVER"][..],
        ),
        ("dind-net", &CALCULATOR, &["DOCKER_NETWORK_OFFSET", "DOCKER_NETWORK_SIZE", "DIND_NET_MTU"]),
        ("dind-reaper", &["plan", NO_ENGINE], &["DIND_STOP_BUDGET", "DOCKER_HOST"]),
        ("dind-launch", &["plan"], &["LOG", "DIND_READY_TIMEOUT", "DOCKER_DAEMON_ARGS"]),
    ] {
        let plain = tool(name).args(args).output().unwrap();
        let empty = tool(name).args(args).envs(variables.iter().map(|name| (name, ""))).output().unwrap();
        assert_eq!(empty.status.code(), plain.status.code(), "{name}: {}", text(&empty.stderr));
    }
}

#[test]
fn output_that_cannot_be_written_does_not_change_the_exit_status() {
    for (name, args, status) in [("dind-net", &CALCULATOR[..], 0), ("dind-reaper", &["plan", NO_ENGINE], 69)]
    {
        let script = "(exec 3>&1; \"$@\" >/dev/full 2>&1; echo $? >&3)";
        let output =
            Command::new("sh").args(["-c", script, "sh"]).arg(bin(name)).args(args).output().unwrap();
        assert_eq!(text(&output.stdout).trim(), status.to_string(), "{name}");
    }
}
