//! A program of tests: each verdict as it comes, a bar on a terminal, everything in a log.

use super::command::{log, tail};
use super::{heading, note, terminal, time};
use crate::Result;
use crate::workspace::Workspace;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Instant;

/// What a program of tests did.
#[derive(Debug)]
pub struct Tested {
    /// Whether all tests passed.
    pub passed: bool,
    /// What it printed on stdout.
    pub lines: Vec<String>,
}

/// Runs a program of tests. On a terminal a bar counts them, and the log, `target/log/test-NAME.log`, has what they print; a failure shows
/// the end of it. Elsewhere, and where the user asks for a test's output (`as_it_comes`), the lines are shown as they are.
pub fn tested(
    workspace: &Workspace,
    name: &str,
    command: impl Into<Command>,
    as_it_comes: bool,
) -> Result<Tested> {
    let mut command = command.into();
    let bar = if as_it_comes { None } else { terminal::counter(name) };
    let (path, mut log) = log(workspace, &format!("test-{name}"))?;
    if bar.is_some() {
        command.stderr(log.try_clone()?);
    }
    let start = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut lines = Vec::new();
    for line in child.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines) {
        let line = line?;
        writeln!(log, "{line}")?;
        match (&bar, Line::of(&line)) {
            (None, _) => println!("{line}"),
            (Some(bar), Line::Number(tests)) => bar.set_length(bar.length().unwrap_or(0) + tests),
            (Some(bar), Line::Ended(test)) => {
                bar.inc(1);
                bar.set_message(test.to_owned());
            }
            (Some(bar), Line::Failed(test)) => {
                bar.inc(1);
                note(&format!("FAILED: {name} {test}"));
            }
            (Some(_), Line::Other) => {}
        }
        lines.push(line);
    }
    let passed = child.wait()?.success();
    if let Some(bar) = bar {
        let count = bar.position();
        bar.finish_and_clear();
        let end = if passed { "passed" } else { "FAILED" };
        heading(&format!("{name}: {count} tests, {end} ({})", time(start.elapsed())));
    }
    if !passed {
        if terminal::is_there() && !as_it_comes {
            terminal::print(&tail(&path));
        }
        note(&format!("the whole log of {name}: {}", path.display()));
    }
    Ok(Tested { passed, lines })
}

/// What a line of libtest means.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    /// As many tests will run.
    Number(u64),
    /// One passed, or was not for this machine.
    Ended(&'a str),
    /// One failed.
    Failed(&'a str),
    /// Anything else.
    Other,
}

impl<'a> Line<'a> {
    fn of(line: &'a str) -> Self {
        if let Some((test, verdict)) = line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... ")) {
            return if verdict == "FAILED" { Self::Failed(test) } else { Self::Ended(test) };
        }
        let number = line.strip_prefix("running ").and_then(|rest| rest.split_once(" test"));
        number.and_then(|(number, _)| number.parse().ok()).map_or(Self::Other, Self::Number)
    }
}

#[cfg(test)]
mod units {
    use super::Line;

    #[test]
    fn lines_of_libtest_are_read() {
        assert_eq!(Line::of("running 69 tests"), Line::Number(69));
        assert_eq!(Line::of("running 1 test"), Line::Number(1));
        assert_eq!(Line::of("test users::a ... ok"), Line::Ended("users::a"));
        assert_eq!(Line::of("test users::a ... FAILED"), Line::Failed("users::a"));
        assert_eq!(Line::of("test result: ok. 69 passed; 0 failed"), Line::Other);
    }
}
