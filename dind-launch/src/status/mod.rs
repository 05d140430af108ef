//! `status`: prints the record of the running launcher ([`record`]), checks the node's health, draws the start
//! ([`timeline`]).

pub mod record;
pub mod timeline;

use crate::TOOL;
use crate::cli::Status;
use crate::engine::readiness;
use crate::fault;
use crate::paths::SOCKET;
use crate::process::sibling::{Document, Tools};
use dind_contract::cli::Output;
use dind_contract::finish::{plain_flags, print};
use dind_contract::{Draft, Fault, Outcome};
use dind_system::Helper;
use dind_system::supervisor::send;
use record::{NodeState, Record};
use serde_json::Value;
use std::fmt::Display;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// A healthy engine answers `/_ping` in under a millisecond.
const PING_LIMIT: Duration = Duration::from_secs(2);

/// `dind-storage plan` takes a few milliseconds, unless the disk does not answer.
const STORAGE_LIMIT: Duration = Duration::from_secs(2);

/// Prints the record, or checks the node's health.
#[must_use]
pub fn finish(args: &Status, output: Output) -> ExitCode {
    let outcome = status(args.healthy);
    if let (true, Ok(draft)) = (args.timeline, &outcome) {
        print(&timeline::draw(&draft.result.stages));
    }
    dind_contract::finish(TOOL, "status", output, outcome, |report| plain_flags(&report.engine))
}

fn status(must_be_healthy: bool) -> Outcome<Record> {
    let mut record = record::read()?;
    let has_ended = matches!(record.state, NodeState::Stopped | NodeState::Failed);
    if !has_ended && !record::launcher_runs() {
        let fault = fault::NOT_RUNNING.failed("no launcher is running", "it was killed, and left its record");
        return Err(fault.hint("start the container again").into());
    }
    let storage = if has_ended { None } else { storage_now(&record) };
    if must_be_healthy {
        check_health(&record, storage.as_ref())?;
    }
    if let Some(Ok(storage)) = storage {
        record.documents.insert("storage-now".to_owned(), storage);
    }
    Ok(Draft { result: record, ..Draft::default() })
}

/// Fails unless the engine answers, its data root can be written to and has met no errors, and the main process runs.
fn check_health(record: &Record, storage: Option<&Result<Document, Fault>>) -> Result<(), Fault> {
    let mut causes = Vec::new();
    if record.state != NodeState::Running {
        causes.push(format!(
            "the node is {}",
            serde_json::to_string(&record.state).unwrap_or_default().trim_matches('"')
        ));
    }
    if record
        .main_pid
        .is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists() || send(pid, 0).is_err())
    {
        causes.push("the main process has exited".to_owned());
    }
    if !readiness::ping(Path::new(SOCKET), PING_LIMIT) {
        causes.push(format!("the engine does not answer on {SOCKET}"));
    }
    if let Some(data_root) = record.daemon_json.get("data-root").and_then(Value::as_str)
        && let Err(error) = write_and_remove(Path::new(data_root))
    {
        causes.push(format!("cannot write to {data_root}: {error}"));
    }
    match storage {
        Some(Ok(storage)) => causes.extend(filesystem_errors(storage)),
        Some(Err(fault)) => causes.push(fault.message.clone()),
        None => {}
    }
    if causes.is_empty() {
        return Ok(());
    }
    let mut fault = fault::NOT_HEALTHY.failed("node is unhealthy", causes.join("; "));
    fault.causes = causes;
    Err(fault.hint("see the record, `dind-launch status`, and the log, `docker logs NODE`"))
}

/// What `dind-storage plan` reports now of the storage that its `apply` has set up: used and free space, errors, read-only.
fn storage_now(record: &Record) -> Option<Result<Document, Fault>> {
    let applied = &record.documents.get("storage")?.result;
    let value = |pointer| applied.pointer(pointer).and_then(Value::as_str);
    let mut words = vec!["plan", "--data-root", value("/data_root")?, "--backing", value("/backing")?];
    words.extend(["--driver", value("/driver")?]);
    words.extend(value("/image/path").into_iter().flat_map(|image| ["--image", image]));
    Some(Tools::find(None).and_then(|tools| {
        let broken = |cause: &dyn Display| {
            let what = format!("`{} plan` failed", tools.storage.display());
            let fault = fault::TOOL_BROKEN.failed(what, cause);
            fault.hint("run `dind-storage plan` in the node")
        };
        let helper =
            tools.storage.to_str().and_then(Helper::find).ok_or_else(|| broken(&"it is not executable"))?;
        let done = helper.args(words).run(STORAGE_LIMIT).map_err(|error| broken(&error))?;
        serde_json::from_str(&done.stdout).map_err(|_| broken(&done.stderr))
    }))
}

/// What `dind-storage` warns of: its file system has met errors, or is read-only.
fn filesystem_errors(storage: &Document) -> impl Iterator<Item = String> + '_ {
    let warnings = storage.warnings.iter().filter(|warning| warning.code == "filesystem-errors");
    warnings.map(|warning| warning.message.clone())
}

/// Writes a file and removes it: a file system that has met an error may count as writable and refuse every write.
fn write_and_remove(directory: &Path) -> std::io::Result<()> {
    let probe = directory.join(format!(".dind-health-{}", std::process::id()));
    let written = fs::write(&probe, b"x");
    let removed = fs::remove_file(&probe);
    written.and(removed)
}
