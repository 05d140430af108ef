//! The file system in an image is checked, and repaired as far as that needs no decision.

use super::programs;
use crate::fault;
use dind_contract::Fault;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

/// How long a check of the whole file system may take.
const LIMIT: Duration = Duration::from_secs(600);

/// Runs `e2fsck -p`; `forced` on a file system that is marked as clean too.
///
/// # Errors
/// There are errors that it does not repair by itself.
pub fn check(file: &File, path: &Path, forced: bool) -> Result<(), Fault> {
    let helper = programs::find("e2fsck", "e2fsprogs")?;
    let flags: &[&str] = if forced { &["-f", "-p"] } else { &["-p"] };
    let hint = format!("make a copy, then run `e2fsck -f {}`", path.display());
    let broken = |cause: String| fault::IMAGE_BROKEN.cannot("check", path.display(), cause).hint(&hint);
    let done = helper.args(flags).arg_fd(file.as_fd()).run(LIMIT);
    let done = done.map_err(|error| broken(format!("e2fsck: {error}")))?;
    // e2fsck(8): 1 is corrected, 2 asks for a reboot where a mounted root was corrected; from 4 on errors are left.
    match done.status.code() {
        Some(0..=2) => Ok(()),
        code => {
            let status = code.map_or_else(|| "a signal".to_owned(), |code| format!("status {code}"));
            let output = format!("{} {}", done.stdout.trim(), done.stderr);
            Err(broken(format!("e2fsck ended with {status}")).cause(output))
        }
    }
}
