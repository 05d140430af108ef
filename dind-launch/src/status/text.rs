//! The forms of `status` that are texts for other programs: on stdout, or in a file.

use super::metrics::{self, Observed};
use super::record::Record;
use super::svg::{self, Place};
use crate::forms::status::Output;
use crate::{TOOL, fault};
use dind_contract::finish::log_fault;
use dind_contract::{Fault, Outcome};
use nix::unistd::gethostname;
use std::fs::{self, OpenOptions};
use std::io::{self, Write, stdout};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;

/// Our own version.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Prints such a form, or puts it into a file. An error is on stderr alone: nothing else is no text of the form.
pub(super) fn finish(form: Output, file: Option<&Path>, outcome: Outcome<Record>) -> ExitCode {
    let done = outcome.map_err(|failed| *failed.fault).and_then(|draft| {
        let text = text(form, &draft.result);
        match file {
            Some(file) => replace(file, &text).map_err(|error| not_written(file, &error)),
            // A reader that has gone away is none of our errors.
            None => {
                let _ = stdout().lock().write_all(text.as_bytes());
                Ok(())
            }
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            log_fault(TOOL, &fault);
            ExitCode::from(fault.code.exit as u8)
        }
    }
}

/// Whether a form is one of them.
pub(super) fn is_text(form: Output) -> bool {
    matches!(form, Output::Openmetrics | Output::Svg)
}

fn text(form: Output, record: &Record) -> String {
    let node = node_name();
    match form {
        Output::Openmetrics => metrics::render(record, &Observed::now(record, node), VERSION),
        _ => svg::draw(record, Place { node: &node, version: VERSION }),
    }
}

/// The node's host name, which Docker makes of the container's id.
pub(crate) fn node_name() -> String {
    gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Refuses a file for another form.
pub(super) fn no_file(file: &Path) -> Fault {
    let fault =
        fault::FILE_INVALID.invalid("--to", file.display(), "only openmetrics and svg are put into files");
    fault.hint("dind-launch status --output json >FILE")
}

fn not_written(file: &Path, error: &io::Error) -> Fault {
    let fault = fault::FILE_NOT_WRITTEN.cannot("write", file.display(), error);
    fault.hint("name a file in a directory of the node that root can write to")
}

/// Replaces a file: whoever reads it meanwhile has the old text or the new one.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let name = file.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
    // Collectors read `*.prom`, and not this.
    let temporary = file.with_file_name(format!(".{name}.{}", std::process::id()));
    let written = || -> io::Result<()> {
        // Of an earlier process with our number, that was killed.
        let _ = fs::remove_file(&temporary);
        let mut beside = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&temporary)?;
        beside.write_all(text.as_bytes())?;
        fs::rename(&temporary, file)
    };
    written().inspect_err(|_| drop(fs::remove_file(&temporary)))
}
