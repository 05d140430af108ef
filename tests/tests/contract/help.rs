//! What `--help` and `-h` show of each tool and verb, and what becomes of an option that a verb does not have.

use crate::{STATUSES, TOOLS, text, tool};
use dind_tests::help::{examples, verbs};

#[test]
fn the_help_of_every_verb_has_exit_statuses_and_an_example() {
    for (name, _) in TOOLS {
        let verbs = verbs(name);
        assert!(verbs.len() >= 4, "{name}: {verbs:?}");
        for verb in verbs {
            let output = tool(name).args(&verb).arg("--help").output().unwrap();
            let help = text(&output.stdout);
            assert_eq!(output.status.code(), Some(0), "{name} {verb:?}");
            let (_, statuses) =
                help.split_once("\nExit status:\n").unwrap_or_else(|| panic!("{verb:?}: {help}"));
            let (statuses, _) = statuses.split_once("\nExamples:\n").unwrap();
            let listed: Vec<_> = statuses.lines().filter_map(|line| line.split_whitespace().next()).collect();
            if !["run", "exec", "claim", "enter"].contains(&verb[0].as_str()) {
                let known =
                    |status: &&str| *status == "2" || STATUSES.iter().any(|one| one.to_string() == *status);
                assert!(listed.iter().all(known), "{name} {verb:?}: {listed:?}");
                assert!(listed.contains(&"0") && listed.contains(&"78"), "{name} {verb:?}: {listed:?}");
            }
            let examples = examples(name, &verb);
            let of_verb = |line: &String| line.contains(&verb.join(" ")) || line.starts_with("docker run ");
            assert!(!examples.is_empty() && examples.iter().all(of_verb), "{name} {verb:?}: {examples:?}");
            // The short form is short.
            let short = text(&tool(name).args(&verb).arg("-h").output().unwrap().stdout);
            assert!(!short.contains("Exit status:") && short.len() < help.len(), "{short}");
        }
    }
}

#[test]
fn the_help_of_a_tool_lists_the_options_of_its_verbs() {
    for (name, _) in TOOLS {
        let help = text(&tool(name).arg("--help").output().unwrap().stdout);
        let (_, listed) = help.split_once("Options of the verbs:\n").unwrap();
        for verb in verbs(name) {
            let own = text(&tool(name).args(&verb).arg("--help").output().unwrap().stdout);
            let flags = own
                .lines()
                .filter_map(|line| line.strip_prefix("      --"))
                .map(|rest| rest.split([' ', '[', ',']).next().unwrap());
            for flag in flags {
                let verb = verb.join(" ");
                let has = |line: &str| {
                    let Some((option, verbs)) = line.rsplit_once("  (") else { return false };
                    let verbs = verbs.trim_end_matches(')').split(", ").any(|one| one == verb);
                    verbs && option.trim().split(' ').next() == Some(&format!("--{flag}"))
                };
                assert!(listed.lines().any(has), "{name} {verb} --{flag}: {listed}");
            }
        }
    }
}

#[test]
fn an_option_that_a_verb_does_not_use_is_refused_with_those_that_do() {
    for (name, args, tip) in [
        ("dind-net", &["release", "--offset", "0.0.1.0"][..], "dind-net plan --offset …"),
        ("dind-net", &["--output", "flags", "plan"], "dind-net plan --output …"),
        ("dind-net", &["apply", "--root", "/srv"], "--root is an option of plan;"),
        ("dind-storage", &["release", "--size", "5"], "--size is an option of plan, apply;"),
        ("dind-reaper", &["drain", "--budget", "5s"], "--budget is an option of plan, stop, watch, exec;"),
        ("dind-reaper", &["--host", "unix:///x", "plan"], "dind-reaper plan --host …"),
        ("dind-launch", &["status", "--root", "/srv"], "--root is an option of plan, doctor, tls plan;"),
        ("dind-launch", &["enter", "--output", "json"], ""),
    ] {
        let output = tool(name).args(args).output().unwrap();
        let stderr = text(&output.stderr);
        if tip.is_empty() {
            // All that follows is the command.
            assert_ne!(output.status.code(), Some(2), "{name} {args:?}: {stderr}");
            continue;
        }
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{name} {args:?}: {stderr}");
        assert!(stderr.contains(tip), "{name} {args:?}: {stderr}");
    }
}
