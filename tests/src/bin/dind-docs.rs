//! Writes the tools' man pages and shell completions into the directory that it is called with, for `cargo xtask dist`.
//! Here and not in the tools: they stay small, and xtask stays quick to build.

use clap::CommandFactory;
use clap_complete::{Shell, generate_to};
use std::fs;
use std::io::{Error, Result};
use std::path::PathBuf;

fn main() -> Result<()> {
    let directory =
        PathBuf::from(std::env::args_os().nth(1).ok_or(Error::other("usage: dind-docs DIRECTORY"))?);
    let (man, completions) = (directory.join("man"), directory.join("completions"));
    fs::create_dir_all(&man)?;
    fs::create_dir_all(&completions)?;
    for command in [
        dind_storage::cli::Cli::command(),
        dind_net::cli::Cli::command(),
        dind_reaper::cli::Cli::command(),
        dind_launch::cli::Cli::command(),
    ] {
        // The tools have no pages for `help`.
        let mut command = command.disable_help_subcommand(true);
        let name = command.get_name().to_owned();
        for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
            generate_to(shell, &mut command, &name, &completions)?;
        }
        clap_mangen::generate_to(command, &man)?;
    }
    Ok(())
}
