//! A tool's README lists every error, warning, verb, option and variable, and no code or option that does not exist.

use clap::{Arg, Command};
use std::collections::BTreeSet;
use std::ffi::OsStr;

/// Compares a README with what the tool knows: the code of every error with its exit status, the code of every warning, and
/// the command line.
///
/// # Panics
/// They differ.
pub fn check(readme: &str, codes: &[(&str, u8)], warnings: &[&str], command: &Command) {
    let known = codes.iter().map(|(name, exit)| format!("| `{name}` | {exit} |"));
    compare("| code | exit |", readme, known.collect());
    compare("| warning |", readme, warnings.iter().map(|name| format!("| `{name}` |")).collect());
    let rows: Vec<_> = readme.lines().filter(|line| line.starts_with('|')).collect();
    let first = rows.iter().filter_map(|row| row.strip_prefix("| `")?.split(['`', ' ']).next());
    let first: BTreeSet<_> = first.collect();
    for verb in command.get_subcommands().map(Command::get_name) {
        assert!(first.contains(verb), "there is no row for {verb}");
    }
    let arguments = all_arguments(command);
    for argument in &arguments {
        let flag = argument.get_long().map(|long| format!("--{long}")).unwrap_or_default();
        // One without a flag is listed by its variable.
        let listed = |text: &str| flag.is_empty() || names(text, &flag);
        assert!(listed(readme), "README.md does not mention {flag}");
        if let Some(variable) = argument.get_env().and_then(OsStr::to_str) {
            let together = rows.iter().any(|row| listed(row) && names(row, variable));
            assert!(together, "there is no row for {flag} and {variable}");
        }
    }
    for flag in first.iter().filter_map(|name| name.strip_prefix("--")) {
        assert!(arguments.iter().any(|argument| argument.get_long() == Some(flag)), "there is no --{flag}");
    }
}

/// The arguments of a command, of its verbs, and of theirs.
fn all_arguments(command: &Command) -> Vec<&Arg> {
    command.get_arguments().chain(command.get_subcommands().flat_map(all_arguments)).collect()
}

/// A name stands in backquotes, alone or before its value.
fn names(text: &str, name: &str) -> bool {
    text.contains(&format!("`{name}`")) || text.contains(&format!("`{name} "))
}

/// The table below a header has these rows, and each once.
fn compare(header: &str, readme: &str, known: BTreeSet<String>) {
    let cells = header.matches('|').count();
    let table = readme.lines().skip_while(|line| !line.starts_with(header)).skip(2);
    let rows = table.take_while(|line| line.starts_with('|'));
    let rows: Vec<String> = rows.map(|row| row.split_inclusive('|').take(cells).collect()).collect();
    let listed: BTreeSet<_> = rows.iter().cloned().collect();
    let differ: Vec<_> = listed.symmetric_difference(&known).collect();
    assert!(differ.is_empty(), "{header}: missing from the README, or unknown to the tool: {differ:?}");
    assert_eq!(rows.len(), known.len(), "{header}: one is listed twice");
}
