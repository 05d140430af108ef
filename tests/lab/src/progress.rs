//! Shows what is being done: a spinner on a terminal, plain lines elsewhere; what commands print goes to a log.

use crate::Result;
use crate::workspace::Workspace;
use indicatif::{ProgressBar, ProgressStyle};
use std::cell::Cell;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, IsTerminal};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Lines of a failed command's log that are shown.
const TAIL: usize = 25;

/// The duration of shorter steps is not shown.
const WORTH_SHOWING: Duration = Duration::from_secs(1);

thread_local! {
    /// Whether this thread works beside the one that the user watches.
    static ASIDE: Cell<bool> = const { Cell::new(false) };
}

/// From now on, each line of this thread makes sense by itself, between the lines of another thread.
pub fn step_aside() {
    ASIDE.set(true);
}

/// Does one piece of work under a heading.
pub fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    let aside = ASIDE.get();
    let spinner = (std::io::stderr().is_terminal() && !aside).then(|| spinner(what));
    if aside {
        eprintln!("==> meanwhile: {what}");
    } else if spinner.is_none() {
        eprintln!("==> {what}");
    }
    let done = work();
    let seconds = start.elapsed().as_secs_f32();
    match spinner {
        None if aside => eprintln!("    {seconds:.1} s: {what}"),
        Some(bar) => {
            bar.finish_and_clear();
            eprintln!("==> {what} ({seconds:.1} s)");
        }
        None if start.elapsed() >= WORTH_SHOWING => eprintln!("    {seconds:.1} s"),
        None => {}
    }
    done
}

/// Announces work whose own output is the progress.
pub fn heading(what: &str) {
    eprintln!("==> {what}");
}

/// One line for people.
pub fn note(text: &str) {
    eprintln!("    {text}");
}

fn spinner(what: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(what.to_owned());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// Runs a command with its output in `target/log/NAME.log`; a failure shows the end of it.
pub fn logged(workspace: &Workspace, name: &str, command: impl Into<Command>) -> Result<()> {
    let mut command = command.into();
    fs::create_dir_all(workspace.logs())?;
    let path = workspace.logs().join(format!("{name}.log"));
    let log = File::create(&path)?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status().map_err(|error| format!("cannot run `{program}`: {error}"))?;
    if status.success() {
        return Ok(());
    }
    Err(format!("`{program}` failed ({status}); the end of `{}`:\n{}", path.display(), tail(&path)).into())
}

/// Runs a command and shows its stdout line by line; returns whether it succeeded, and the lines.
pub fn shown(command: impl Into<Command>) -> Result<(bool, Vec<String>)> {
    let mut command = command.into();
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut lines = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            lines.push(line?);
            println!("{}", lines.last().map_or("", String::as_str));
        }
    }
    Ok((child.wait()?.success(), lines))
}

/// The last lines of a log, indented.
pub fn tail(path: &std::path::Path) -> String {
    let text = fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<_> = text.lines().map(|line| format!("    {line}")).collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}
