//! README.md has every code, warning, verb, option and variable.

use clap::CommandFactory;
use dind_net::cli::Cli;
use dind_net::fault::{CODES, WARNINGS};

#[test]
fn the_readme_is_complete() {
    let codes: Vec<_> = CODES.iter().map(|code| (code.name, code.exit as u8)).collect();
    dind_tests::readme::check(include_str!("../README.md"), &codes, WARNINGS, &Cli::command());
}
