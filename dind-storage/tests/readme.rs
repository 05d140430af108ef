//! README.md documents every error, warning, option, storage driver and step.

use clap::CommandFactory;
use dind_storage::cli::Cli;
use dind_storage::fault::{CODES, WARNINGS};
use dind_storage::report::Driver;

const README: &str = include_str!("../README.md");

#[test]
fn the_readme_is_complete() {
    let codes: Vec<_> = CODES.iter().map(|code| (code.name, code.exit as u8)).collect();
    dind_tests::readme::check(README, &codes, WARNINGS, &Cli::command());
}

#[test]
fn every_driver_is_documented() {
    for driver in Driver::ALL {
        assert!(README.contains(&format!("`{driver}`")), "README.md does not document {driver}");
    }
}
