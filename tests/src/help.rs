//! What the tools' help says of itself: their verbs, and the examples of each.

use crate::bin;
use std::process::Command;

/// What a tool prints for these words and `--help`.
///
/// # Panics
/// It fails.
#[must_use]
pub fn of(tool: &str, words: &[String]) -> String {
    let output = Command::new(bin(tool)).env_clear().args(words).arg("--help").output().unwrap();
    assert!(output.status.success(), "{tool} {words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The verbs of a tool that do something, as words: `tls` has two of its own.
#[must_use]
pub fn verbs(tool: &str) -> Vec<Vec<String>> {
    let below = |words: &[String]| -> Vec<String> {
        let help = of(tool, words);
        let Some((_, rest)) = help.split_once("Commands:\n") else { return Vec::new() };
        let names = rest.lines().take_while(|line| !line.is_empty());
        let names = names.filter_map(|line| line.split_whitespace().next());
        names.filter(|verb| *verb != "help").map(str::to_owned).collect()
    };
    let mut verbs = Vec::new();
    for verb in below(&[]) {
        let own = below(std::slice::from_ref(&verb));
        if own.is_empty() {
            verbs.push(vec![verb]);
        } else {
            verbs.extend(own.into_iter().map(|one| vec![verb.clone(), one]));
        }
    }
    verbs
}

/// The lines of the examples of a verb.
#[must_use]
pub fn examples(tool: &str, verb: &[String]) -> Vec<String> {
    let help = of(tool, verb);
    let (_, examples) = help.split_once("\nExamples:\n").unwrap_or_default();
    let lines = examples.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}
