//! README.md documents every error, warning, verb and option, and none that does not exist.

use clap::CommandFactory;
use dind_reaper::cli::Cli;
use dind_reaper::fault::{CODES, WARNINGS};

#[test]
fn the_readme_is_complete() {
    let codes: Vec<_> = CODES.iter().map(|code| (code.name, code.exit as u8)).collect();
    dind_tests::readme::check(include_str!("../README.md"), &codes, WARNINGS, &Cli::command());
}
