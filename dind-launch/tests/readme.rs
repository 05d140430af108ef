//! README.md tells of every error, warning and variable.

use clap::CommandFactory;
use dind_launch::cli::Cli;
use dind_launch::fault::{CODES, WARNINGS};

const README: &str = include_str!("../README.md");

#[test]
fn every_code_is_listed_with_its_exit_status() {
    for code in CODES {
        let row = format!("| `{}` | {} |", code.name, code.exit as u8);
        assert!(README.contains(&row), "README.md has no row {row}");
    }
}

#[test]
fn every_warning_is_listed() {
    for code in WARNINGS {
        assert!(README.contains(&format!("| `{code}` | ")), "README.md has no row for {code}");
    }
}

#[test]
fn every_variable_is_listed() {
    let command = Cli::command();
    let arguments = command.get_subcommands().flat_map(|verb| verb.get_arguments());
    for argument in arguments.filter(|argument| argument.get_env().is_some()) {
        let flag = argument.get_long().map(|long| format!("`--{long}`")).unwrap_or_default();
        let variable = format!("`{}`", argument.get_env().unwrap().to_str().unwrap());
        let row = README.lines().find(|line| line.contains(&flag) && line.contains(&variable));
        assert!(row.is_some(), "README.md has no row for {flag} and {variable}");
    }
}
