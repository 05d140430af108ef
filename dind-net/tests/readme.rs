//! The README lists every code, every option and every variable.

#![allow(clippy::unwrap_used)]

use clap::CommandFactory;
use dind_net::{cli::Cli, fault};

const README: &str = include_str!("../README.md");

#[test]
fn codes_and_warnings() {
    for code in fault::CODES {
        let row = format!("| `{}` | {} |", code.name, code.exit as u8);
        assert!(README.contains(&row), "the README has no row that begins with {row}");
    }
    for code in fault::WARNINGS {
        let row = format!("| `{code}` |");
        assert!(README.contains(&row), "the README has no row that begins with {row}");
    }
}

#[test]
fn options() {
    let command = Cli::command();
    for verb in command.get_subcommands() {
        for argument in verb.get_arguments().filter(|argument| argument.get_id() != "help") {
            let flag = format!("`--{}`", argument.get_long().unwrap());
            assert!(README.contains(&flag), "the README does not tell of {flag}");
            if let Some(variable) = argument.get_env() {
                let variable = format!("`{}`", variable.to_str().unwrap());
                assert!(README.contains(&variable), "the README does not tell of {variable}");
            }
        }
    }
}
