//! The end of every tool: one line on stdout, the same told to people on stderr, an exit status.

use crate::cli::Output;
use crate::document::{Failed, Failure, Outcome, Report, Tool, Warning};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::Serialize;
use std::fmt::Display;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::ExitCode;

/// Prints a verb's outcome and gives the exit status.
///
/// With [`Output::Flags`] a failure prints `--TOOL-failed=CODE`: a word that `dockerd` refuses by name, so that
/// `dockerd $(dind-net apply --output flags)` never starts an engine on half of its settings.
pub fn finish<T: Serialize>(tool: Tool, mode: &str, output: Output, outcome: Outcome<T>) -> ExitCode {
    finish_with(tool, mode, output, outcome, |report| report.engine.flags())
}

/// The same for a verb whose flags are not the engine's: `words` makes them of the report, each quoted as a shell needs it.
pub fn finish_with<T: Serialize>(
    tool: Tool,
    mode: &str,
    output: Output,
    outcome: Outcome<T>,
    words: impl FnOnce(&Report<T>) -> Result<Vec<String>, String>,
) -> ExitCode {
    let (line, status) = match outcome {
        Ok(draft) => {
            for warning in &draft.warnings {
                tell_warning(tool, warning);
            }
            let report = Report {
                schema: tool.schema.to_owned(),
                ok: true,
                mode: mode.to_owned(),
                changed: draft.steps.changed(),
                result: draft.result,
                engine: draft.engine,
                steps: draft.steps.0,
                warnings: draft.warnings,
            };
            success(tool, output, &report, words)
        }
        Err(Failed { fault, steps }) => {
            tell(tool, "error", &fault);
            for cause in &fault.causes {
                tell(tool, "cause", cause);
            }
            if !fault.hint.is_empty() {
                tell(tool, "hint", &fault.hint);
            }
            let line = match output {
                Output::Json => json(&Failure {
                    schema: tool.schema.to_owned(),
                    ok: false,
                    mode: mode.to_owned(),
                    error: fault.object(),
                    steps: steps.0,
                }),
                Output::Flags => refused(tool, fault.code.name),
            };
            (line, fault.code.exit as u8)
        }
    };
    // A reader that has gone away changes nothing about what was done.
    let _ = writeln!(io::stdout().lock(), "{line}");
    ExitCode::from(status)
}

fn success<T: Serialize>(
    tool: Tool,
    output: Output,
    report: &Report<T>,
    words: impl FnOnce(&Report<T>) -> Result<Vec<String>, String>,
) -> (String, u8) {
    if output == Output::Json {
        return (json(report), 0);
    }
    if !report.engine.path_prepend.is_empty() {
        let folders: Vec<_> =
            report.engine.path_prepend.iter().map(|path| path.display().to_string()).collect();
        tell(
            tool,
            "warning",
            format!("flags cannot carry PATH; start dockerd with PATH={}:$PATH", folders.join(":")),
        );
    }
    match words(report) {
        Ok(flags) => (flags.join(" "), 0),
        Err(reason) => {
            tell(tool, "error", format!("cannot print `engine.config` as flags: {reason}"));
            tell(tool, "hint", "use the JSON output and a daemon.json");
            (refused(tool, "not-a-flag"), crate::Exit::Config as u8)
        }
    }
}

fn refused(tool: Tool, code: &str) -> String {
    format!("--{}-failed={code}", tool.name)
}

fn json(document: &impl Serialize) -> String {
    // Our documents are maps with string keys, and those cannot fail to serialize.
    serde_json::to_string(document).unwrap_or_else(|error| format!("{{\"ok\":false,\"error\":\"{error}\"}}"))
}

/// Tells a warning on stderr.
pub fn tell_warning(tool: Tool, warning: &Warning) {
    let hint = if warning.hint.is_empty() { String::new() } else { format!(" ({})", warning.hint) };
    tell(tool, "warning", format!("{}{hint}", warning.message));
}

/// Lines for people that are no message: a chart, a table.
pub fn show(lines: &[String]) {
    lines.iter().for_each(|line| write(&format!("{line}\n")));
}

/// One line for people: `dind-net: warning: …`. Control characters are escaped, so that no value can forge a line.
/// A stderr that is closed, or that nobody reads, is nobody's problem: PID 1 must not wait for it.
pub fn tell(tool: Tool, kind: &str, message: impl Display) {
    let mut line = String::new();
    for c in format!("{}: {kind}: {message}", tool.name).chars() {
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line.push('\n');
    write(&line);
}

fn write(text: &str) {
    let mut stderr = io::stderr().lock();
    for chunk in text.as_bytes().chunks(CHUNK) {
        if !takes_more(stderr.as_fd()) || stderr.write_all(chunk).is_err() {
            return;
        }
    }
}

/// A pipe that polls as writable takes this many bytes without blocking (pipe(7), `PIPE_BUF`).
const CHUNK: usize = 4096;

/// How long a reader may take to make room, in milliseconds, before a line is dropped.
const PATIENCE: u16 = 100;

fn takes_more(fd: BorrowedFd<'_>) -> bool {
    poll(&mut [PollFd::new(fd, PollFlags::POLLOUT)], PollTimeout::from(PATIENCE)) == Ok(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::{FcntlArg, OFlag, fcntl};

    #[test]
    fn a_full_pipe_is_not_waited_for() {
        let (reader, mut writer) = io::pipe().unwrap();
        assert!(takes_more(writer.as_fd()));
        fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        while writer.write(&[0; CHUNK]).is_ok() {}
        assert!(!takes_more(writer.as_fd()));
        // Whoever has gone is told so by the write.
        drop(reader);
        assert!(takes_more(writer.as_fd()) && writer.write(b"x").is_err());
    }
}
