//! Writes the tools' man pages and shell completions into the folder that it is called with, for `cargo xtask dist`.
//! Here and not in the tools: they stay small, and xtask stays quick to build.

use clap::CommandFactory;
use clap_complete::{Shell, generate_to};
use std::fs;
use std::io::{Error, Result};
use std::path::PathBuf;

fn main() -> Result<()> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or(Error::other("usage: dind-docs FOLDER"))?);
    let (man, completions) = (folder.join("man"), folder.join("completions"));
    fs::create_dir_all(&man)?;
    fs::create_dir_all(&completions)?;
    for command in [
        dind_storage::cli::Cli::command(),
        dind_net::cli::Cli::command(),
        dind_reaper::cli::Cli::command(),
        dind_launch::cli::Cli::command(),
    ] {
        // A page on how to ask for help is none.
        let mut command = command.disable_help_subcommand(true);
        let name = command.get_name().to_owned();
        for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
            generate_to(shell, &mut command, &name, &completions)?;
        }
        clap_mangen::generate_to(command, &man)?;
    }
    Ok(())
}
