//! README.md tells of what the tool knows, and of its storage drivers.

use clap::CommandFactory;
use dind_storage::cli::Cli;
use dind_storage::document::Driver;
use dind_storage::fault::{CODES, WARNINGS};

const README: &str = include_str!("../README.md");

#[test]
fn the_readme_is_complete() {
    let codes: Vec<_> = CODES.iter().map(|code| (code.name, code.exit as u8)).collect();
    dind_tests::readme::check(README, &codes, WARNINGS, &Cli::command());
}

#[test]
fn every_driver_is_told_of() {
    for driver in Driver::ALL {
        assert!(README.contains(&format!("`{driver}`")), "README.md does not tell of {driver}");
    }
}
