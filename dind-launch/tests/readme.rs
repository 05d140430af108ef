//! README.md names every code, verb, option and variable of the tool.

use clap::CommandFactory;
use dind_launch::cli::Cli;
use dind_launch::fault::{CODES, WARNINGS};

#[test]
fn the_readme_is_complete() {
    let codes: Vec<_> = CODES.iter().map(|code| (code.name, code.exit as u8)).collect();
    dind_tests::readme::check(include_str!("../README.md"), &codes, WARNINGS, &Cli::command());
}
