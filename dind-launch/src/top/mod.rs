//! `top`: what the inner containers use, against what the node may use.
//!
//! * `sample` asks the kernel and the engine; [`report`] compares two samples
//! * `table` draws it as text; `screen` is the terminal, and `watch` draws on it again and again

pub mod report;
mod sample;
mod screen;
mod table;
mod watch;

use crate::cli::Top as Args;
use crate::forms::top::Output;
use crate::paths::DATA_ROOT;
use crate::status::record::Record;
use crate::{TOOL, fault, options, status};
use dind_contract::cli::refuse_root;
use dind_contract::finish::{finish_text, log_fault};
use dind_contract::{Draft, Failed, Fault, Outcome, Report};
use report::Top;
use sample::{Sample, Source, sizes};
use serde_json::Value;
use std::io::{IsTerminal, stdin, stdout};
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use table::Room;

/// Between two tables, unless another time is asked for; and between the two samples of a single one.
const EVERY: Duration = Duration::from_secs(2);
const ONCE: Duration = Duration::from_secs(1);

/// How long a single table waits for the sizes of the writable layers.
const SIZES: Duration = Duration::from_secs(5);

/// Columns where there is no screen.
const COLUMNS: usize = 132;

/// Shows it: on a terminal again and again, and elsewhere once.
#[must_use]
pub fn finish(args: &Args) -> ExitCode {
    let form = args.output.and_then(|form| form.0);
    if form.is_none() && stdin().is_terminal() && stdout().is_terminal() {
        return ExitCode::from(on_screen(args).unwrap_or_else(|fault| {
            log_fault(TOOL, &fault);
            fault.code.exit as u8
        }));
    }
    let outcome = once(args);
    match form {
        Some(Output::Json) => {
            let outcome = outcome.map(|(_, draft)| draft);
            dind_contract::finish(TOOL, "top", Some(dind_contract::cli::Output::Json), outcome)
        }
        Some(Output::Table) | None => {
            let mut heading = String::new();
            let outcome = outcome.map(|(above, draft)| {
                heading = above;
                draft
            });
            let room = Room { columns: COLUMNS, lines: None };
            finish_text(TOOL, "top", outcome, |report: Result<&Report<Top>, &Fault>| {
                report.map_or_else(|_| Vec::new(), |report| table::draw(&report.result, &heading, room))
            })
        }
    }
}

/// The node: where its engine is, and what stands above the table.
fn node() -> Result<(Source, String), Fault> {
    refuse_root("show what containers use", fault::ROOT_IS_FAKE)?;
    let record = status::observe()?;
    if record.state.has_ended() {
        let cause = format!("the node is {}", record.state.name());
        let fault = fault::NOT_RUNNING.failed("no engine is running", cause);
        return Err(fault.hint("start the container again"));
    }
    let data_root = record.daemon_json.get("data-root").and_then(Value::as_str).unwrap_or(DATA_ROOT);
    let source = Source { socket: record.socket.clone(), data_root: data_root.into() };
    Ok((source, heading(&record)))
}

fn heading(record: &Record) -> String {
    let version = record.engine_version.as_deref().unwrap_or("of an unknown version");
    format!("{}, {}, engine {version}", status::node_name(), record.state.name())
}

fn on_screen(args: &Args) -> Result<u8, Fault> {
    let every = options::interval(args.interval.as_ref())?.unwrap_or(EVERY);
    let (source, heading) = node()?;
    watch::watch(&source, every, &heading).map_err(|error| {
        let fault = fault::INIT_FAILED.failed("cannot use the terminal", error);
        fault.hint("dind-launch top --output table")
    })
}

/// Two samples, and the sizes of the writable layers if they come in time.
fn once(args: &Args) -> Result<(String, Draft<Top>), Failed> {
    let between = options::interval(args.interval.as_ref())?.unwrap_or(ONCE);
    let (source, heading) = node()?;
    let (sender, receiver) = mpsc::channel();
    let socket = source.socket.clone();
    thread::spawn(move || sender.send(sizes(&socket).unwrap_or_default()));
    let before = Sample::take(&source);
    thread::sleep(between);
    let after = Sample::take(&source);
    let sizes = receiver.recv_timeout(SIZES).unwrap_or_default();
    let result = Top::between(&before, &after, &sizes);
    if let Some(error) = &result.error {
        let fault = fault::NOT_HEALTHY.failed("the engine does not answer", error);
        return Err(fault.hint("dind-launch status --healthy").into());
    }
    let outcome: Outcome<Top> = Ok(Draft { result, ..Draft::default() });
    outcome.map(|draft| (heading, draft))
}
