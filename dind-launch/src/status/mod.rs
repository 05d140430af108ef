//! `status`: what the launcher has done and is doing, and whether a container could be started.
//!
//! * [`record`] is what [`record_writer`] writes for the launcher; the kernel names who holds its `lock`
//! * `external` finds an engine that runs without a launcher
//! * `health` checks what `--healthy` asks for
//! * [`timeline`] draws the start for a terminal, [`svg`] for a page; [`metrics`] has figures for collectors; `text` prints the
//!   latter two
//! * [`wait`] blocks until the node is ready or has ended

mod external;
mod health;
mod lock;
pub mod metrics;
pub mod record;
pub mod record_writer;
pub mod svg;
pub mod table;
mod text;
pub mod timeline;
pub mod wait;

use crate::cli::Status;
use crate::forms::status::Output;
use crate::process::sibling::Document;
use crate::terminal::Screen;
use crate::usage::engine::Engine;
use crate::{TOOL, fault};
use dind_contract::cli::{self, Form, refuse_root};
use dind_contract::finish::{finish_text, print};
use dind_contract::{Draft, Failed, Fault, Outcome, Report};
use dind_system::{Helper, time_of_day};
use record::Record;
use serde_json::Value;
use std::process::ExitCode;
use std::time::{Duration, Instant};

pub(crate) use text::node_name;

/// `dind-storage plan` takes a few milliseconds, unless the disk does not answer.
const STORAGE_LIMIT: Duration = Duration::from_secs(2);

/// Prints the record, or checks the node's health.
#[must_use]
pub fn finish(args: &Status) -> ExitCode {
    let outcome = refuse_root("report the status", fault::ROOT_IS_FAKE)
        .map_err(Failed::from)
        .and_then(|()| status(args.healthy));
    if let (true, Ok(draft)) = (args.timeline, &outcome) {
        print(&timeline::draw(&draft.result.stages));
    }
    let form = args.output.and_then(|Form(output)| output).unwrap_or_default().here();
    let outcome = match args.to.as_deref() {
        Some(file) if !text::is_text(form) => Err(text::no_file(file).into()),
        _ => outcome,
    };
    match form {
        Output::Auto | Output::Json => {
            dind_contract::finish(TOOL, "status", Some(cli::Output::Json), outcome)
        }
        Output::Table => finish_text(TOOL, "status", outcome, |report| match report {
            Ok(report) => table(report),
            Err(_) => Vec::new(),
        }),
        Output::Openmetrics | Output::Svg => text::finish(form, args.to.as_deref(), outcome),
    }
}

fn table(report: &Report<Record>) -> Vec<String> {
    let record = &report.result;
    let containers = Engine::at(&record.socket, Instant::now() + health::ANSWER_LIMIT).counts().ok();
    // Those of the record are of the start, and those of the report of now.
    let mut warnings = record.warnings.clone();
    warnings.extend(report.warnings.iter().filter(|warning| !record.warnings.contains(warning)).cloned());
    table::lines(record, &warnings, containers, time_of_day().as_millis() as u64, &Screen::of_stdout())
}

fn status(must_be_healthy: bool) -> Outcome<Record> {
    let mut record = observe()?;
    let mut warnings = Vec::new();
    if must_be_healthy {
        health::check(&record)?;
    } else if let Some(storage) = storage_now(&record) {
        warnings.clone_from(&storage.warnings);
        record.documents.insert("storage-now".to_owned(), storage);
    }
    Ok(Draft { result: record, warnings, ..Draft::default() })
}

/// The record of the launcher that runs, or has ended in order; without one, the engine that somebody else has started.
pub(crate) fn observe() -> Result<Record, Fault> {
    let running = lock::holder()?.is_some();
    let record = record::read();
    if running {
        return record;
    }
    // A launcher may have started between the two looks.
    if record.as_ref().is_ok_and(|record| !record.state.has_ended()) && lock::holder()?.is_some() {
        return record;
    }
    if let Some(external) = external::find(health::ANSWER_LIMIT)? {
        return Ok(external);
    }
    let record = record?;
    if record.state.has_ended() {
        return Ok(record);
    }
    let fault = fault::NOT_RUNNING.failed("no launcher is running", "it was killed, and left its record");
    Err(fault.hint("start the container again"))
}

/// What `dind-storage plan` reports now of the storage that its `apply` has set up: used and free space, errors, read-only.
/// Nothing where it has not been set up yet, or the tool fails.
fn storage_now(record: &Record) -> Option<Document> {
    if record.state.has_ended() {
        return None;
    }
    let applied = &record.documents.get("storage")?.result;
    let value = |pointer| applied.pointer(pointer).and_then(Value::as_str);
    let mut words = vec!["plan", "--data-root", value("/data_root")?, "--backing", value("/backing")?];
    words.extend(["--driver", value("/driver")?]);
    words.extend(value("/image/path").into_iter().flat_map(|image| ["--image", image]));
    let seeds = applied.get("seeds").and_then(Value::as_array).into_iter().flatten();
    let seeds: Vec<_> = seeds.filter_map(|seed| seed.get("path")?.as_str()).collect();
    let seeds = (!seeds.is_empty()).then(|| seeds.join(":"));
    words.extend(seeds.iter().flat_map(|seeds| ["--seed", seeds]));
    let tool = Helper::find(record.tools.as_ref()?.storage.to_str()?)?;
    let done = tool.args(words).run(STORAGE_LIMIT).ok()?;
    serde_json::from_str(&done.stdout).ok()
}
