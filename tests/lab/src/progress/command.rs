//! Commands whose output nobody reads unless they fail.

use crate::Result;
use crate::workspace::Workspace;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Lines of a failed command's log that are shown.
const TAIL: usize = 25;

/// Runs a command with its output in `target/log/NAME.log`; a failure shows the end of it.
pub fn logged(workspace: &Workspace, name: &str, command: impl Into<Command>) -> Result<()> {
    let mut command = command.into();
    let (path, log) = log(workspace, name)?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status().map_err(|error| format!("cannot run `{program}`: {error}"))?;
    if status.success() {
        return Ok(());
    }
    Err(format!("`{program}` failed ({status}); the end of `{}`:\n{}", path.display(), tail(&path)).into())
}

/// A new log, and where it is.
pub(super) fn log(workspace: &Workspace, name: &str) -> Result<(PathBuf, File)> {
    fs::create_dir_all(workspace.logs())?;
    let path = workspace.logs().join(format!("{name}.log"));
    let log = File::create(&path)?;
    Ok((path, log))
}

/// The last lines of a log, indented.
pub fn tail(path: &Path) -> String {
    let text = fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<_> = text.lines().map(|line| format!("    {line}")).collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}
