//! Writes the tools' man pages and shell completions into the directory that it is called with, for `cargo xtask dist`.
//! Here and not in the tools: they stay small, and xtask stays quick to build.
//!
//! A page has what clap knows of a verb, the examples and exit statuses of its help, and what the tool's `manual.rs` says. The errors are
//! those of the table in its README, which a test compares with the code.

mod page;
mod readme;
mod roff_text;

use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate_to};
use dind_contract::help::{Help, Manual};
use std::fs;
use std::io::{Error, Result};
use std::path::PathBuf;

/// A tool, and what is known of it.
struct Tool {
    command: Command,
    help: Help,
    manual: Manual,
    readme: &'static str,
}

fn tools() -> [Tool; 4] {
    [
        Tool {
            command: dind_storage::cli::Cli::command(),
            help: dind_storage::help::HELP,
            manual: dind_storage::manual::MANUAL,
            readme: include_str!("../../../../dind-storage/README.md"),
        },
        Tool {
            command: dind_net::cli::Cli::command(),
            help: dind_net::help::HELP,
            manual: dind_net::manual::MANUAL,
            readme: include_str!("../../../../dind-net/README.md"),
        },
        Tool {
            command: dind_reaper::cli::Cli::command(),
            help: dind_reaper::help::HELP,
            manual: dind_reaper::manual::MANUAL,
            readme: include_str!("../../../../dind-reaper/README.md"),
        },
        Tool {
            command: dind_launch::cli::Cli::command(),
            help: dind_launch::help::HELP,
            manual: dind_launch::manual::MANUAL,
            readme: include_str!("../../../../dind-launch/README.md"),
        },
    ]
}

fn main() -> Result<()> {
    let directory =
        PathBuf::from(std::env::args_os().nth(1).ok_or(Error::other("usage: dind-docs DIRECTORY"))?);
    let (man, completions) = (directory.join("man"), directory.join("completions"));
    fs::create_dir_all(&man)?;
    fs::create_dir_all(&completions)?;
    let names: Vec<_> = tools().iter().map(|tool| tool.command.get_name().to_owned()).collect();
    for tool in tools() {
        // The tools have no pages for `help`.
        let mut command = tool.command.clone().disable_help_subcommand(true).subcommand_value_name("verb");
        let name = command.get_name().to_owned();
        for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
            generate_to(shell, &mut command, &name, &completions)?;
        }
        command.build();
        for (file, text) in page::pages(&command, &tool, &names) {
            fs::write(man.join(file), text)?;
        }
    }
    Ok(())
}
