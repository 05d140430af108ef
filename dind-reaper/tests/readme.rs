//! README.md tells of every error, warning, option and verb.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use clap::CommandFactory;
use dind_reaper::cli::Cli;
use dind_reaper::fault::{CODES, WARNINGS};

const README: &str = include_str!("../README.md");

#[test]
fn every_code_is_listed_with_its_exit_status() {
    for code in CODES {
        let row = format!("| `{}` | {} |", code.name, code.exit as u8);
        assert!(README.contains(&row), "README.md has no row {row}");
    }
    let errors = README.split("## Errors").nth(1).unwrap();
    let rows = errors.lines().filter(|line| line.starts_with("| `") && line.matches('|').count() == 5);
    assert_eq!(rows.count(), CODES.len(), "README.md lists a code that is not there");
}

#[test]
fn every_warning_is_listed() {
    for code in WARNINGS {
        assert!(README.contains(&format!("| `{code}` | ")), "README.md has no row for {code}");
    }
}

#[test]
fn every_option_and_verb_is_listed() {
    for argument in Cli::command().get_arguments().filter(|argument| argument.get_env().is_some()) {
        let flag = format!("`--{} ", argument.get_long().unwrap());
        let variable = format!("`{}`", argument.get_env().unwrap().to_str().unwrap());
        let row = README.lines().find(|line| line.contains(&flag) && line.contains(&variable));
        assert!(row.is_some(), "README.md has no row for {flag} and {variable}");
    }
    for verb in Cli::command().get_subcommands() {
        assert!(
            README.contains(&format!("| `{}", verb.get_name())),
            "README.md has no row for {}",
            verb.get_name()
        );
    }
}
