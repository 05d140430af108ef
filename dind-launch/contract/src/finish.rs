//! The end of every tool: one line on stdout, lines for people on stderr, an exit status.

use crate::cli::Output;
use crate::document::{Engine, Failed, Failure, Outcome, Report, Tool, Warning};
use crate::fault::{self, Fault};
use crate::flags;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::Serialize;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::ExitCode;

/// Prints a verb's outcome and gives the exit status. Without an `output` that was asked for, an error is no document where
/// stdout is a terminal.
///
/// A failure prints `--TOOL-failed=CODE` as flags, which `dockerd` refuses by name, so that
/// `dockerd $(dind-net apply --output flags)` never starts an engine on half of its settings.
pub fn finish<T: Serialize>(tool: Tool, mode: &str, output: Option<Output>, outcome: Outcome<T>) -> ExitCode {
    finish_with(tool, mode, output, outcome, |report| flags::words(&report.engine))
}

/// The same with flags of another program: `flags` makes words of the report, each quoted as a shell needs it.
pub fn finish_with<T: Serialize>(
    tool: Tool,
    mode: &str,
    output: Option<Output>,
    outcome: Outcome<T>,
    flags: impl FnOnce(&Report<T>) -> Result<Vec<String>, String>,
) -> ExitCode {
    let (line, status) = match outcome {
        Ok(draft) => {
            draft.warnings.iter().for_each(|warning| log_warning(tool, warning));
            let report = draft.report(tool, mode);
            match output.unwrap_or_default() {
                Output::Json => (json(&report), 0),
                Output::Flags => print_flags(tool, &report.engine, flags(&report)),
            }
        }
        Err(Failed { fault, steps }) => {
            log_fault(tool, &fault);
            let (schema, mode) = (tool.schema.to_owned(), mode.to_owned());
            let line = match output {
                // People have just read it on stderr.
                None if io::stdout().is_terminal() => return ExitCode::from(fault.code.exit as u8),
                None | Some(Output::Json) => {
                    json(&Failure { schema, ok: false, mode, error: fault.object(), steps: steps.0 })
                }
                Some(Output::Flags) => refused(tool, fault.code.name),
            };
            (line, fault.code.exit as u8)
        }
    };
    // A reader that has gone away changes nothing about what was done.
    let _ = writeln!(io::stdout().lock(), "{line}");
    ExitCode::from(status)
}

/// Prints for people: `text` makes lines of a report, with its warnings in them. A failure is logged as by [`finish`], unless
/// `text` has lines for it, which then have its causes.
pub fn finish_text<T>(
    tool: Tool,
    mode: &str,
    outcome: Outcome<T>,
    text: impl FnOnce(Result<&Report<T>, &Fault>) -> Vec<String>,
) -> ExitCode {
    let (lines, status) = match outcome {
        Ok(draft) => (text(Ok(&draft.report(tool, mode))), 0),
        Err(Failed { fault, .. }) => {
            let lines = text(Err(&fault));
            if lines.is_empty() {
                log_fault(tool, &fault);
            } else {
                log(tool, "error", &fault);
                log(tool, "hint", &fault.hint);
            }
            (lines, fault.code.exit as u8)
        }
    };
    let mut stdout = io::stdout().lock();
    for line in lines {
        if writeln!(stdout, "{line}").is_err() {
            break;
        }
    }
    ExitCode::from(status)
}

fn print_flags(tool: Tool, engine: &Engine, flags: Result<Vec<String>, String>) -> (String, u8) {
    if !engine.path_prepend.is_empty() {
        let path: Vec<_> = engine.path_prepend.iter().map(|path| path.display().to_string()).collect();
        let path = path.join(":");
        log(tool, "warning", format!("flags cannot carry PATH; start dockerd with PATH={path}:$PATH"));
    }
    match flags {
        Ok(flags) => (flags.join(" "), 0),
        Err(reason) => {
            log(tool, "error", format!("cannot print `engine.config` as flags: {reason}"));
            log(tool, "hint", "use the JSON output and a daemon.json");
            (refused(tool, "not-a-flag"), fault::ExitCode::Config as u8)
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

/// Logs a warning.
pub fn log_warning(tool: Tool, warning: &Warning) {
    let hint = if warning.hint.is_empty() { String::new() } else { format!(" ({})", warning.hint) };
    log(tool, "warning", format!("{}{hint}", warning.message));
}

/// Logs an error with its causes and its hint.
pub fn log_fault(tool: Tool, fault: &Fault) {
    log(tool, "error", fault);
    fault.causes.iter().for_each(|cause| log(tool, "cause", cause));
    if !fault.hint.is_empty() {
        log(tool, "hint", &fault.hint);
    }
}

/// Logs one line on stderr: `dind-net: warning: …`. Control characters are escaped, so that no value can forge a line.
pub fn log(tool: Tool, kind: &str, message: impl Display) {
    let mut line = String::new();
    for c in format!("{}: {kind}: {message}", tool.name).chars() {
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
    print(&[line]);
}

/// Prints lines on stderr that are no message: a chart, a table. PID 1 must not wait for a stderr that nobody reads, so
/// what it does not take in time is dropped.
pub fn print(lines: &[String]) {
    /// A pipe that polls as writable takes this many bytes without blocking (pipe(7), `PIPE_BUF`).
    const CHUNK: usize = 4096;
    let mut stderr = io::stderr().lock();
    for line in lines.iter().map(|line| format!("{line}\n")) {
        for chunk in line.as_bytes().chunks(CHUNK) {
            if !takes_more(stderr.as_fd()) || stderr.write_all(chunk).is_err() {
                break;
            }
        }
    }
}

fn takes_more(fd: BorrowedFd<'_>) -> bool {
    /// How long a reader may take to make room, in milliseconds.
    const LIMIT: u16 = 100;
    poll(&mut [PollFd::new(fd, PollFlags::POLLOUT)], PollTimeout::from(LIMIT)) == Ok(1)
}
