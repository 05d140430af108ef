//! `status --output svg`: the start as a picture, for pages and reports. From the record alone.

use super::record::{NodeState, ProgramRecord, Record, StageRecord};
use crate::stage::Stage;
use dind_chart::{Bar, Lane, Timeline};
use time::OffsetDateTime;

/// Colours of stages, and of the programs in them.
const STAGE: usize = 0;
const PROGRAM: usize = 1;

/// Where it is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The node's name.
    pub node: &'a str,
    /// Our version.
    pub version: &'a str,
}

/// Draws the stages of the start, and below each the programs that it has started.
#[must_use]
pub fn draw(record: &Record, place: Place<'_>) -> String {
    let start: Vec<_> =
        record.stages.iter().take_while(|stage| Stage::is_of_start(&stage.name)).cloned().collect();
    let end = start.iter().filter_map(|stage| stage.end_ms).max();
    let mut lanes = Vec::new();
    for stage in &start {
        lanes.push(lane_of(stage));
        let own = record.programs.iter().filter(|program| program.stage == stage.name);
        lanes.extend(own.map(|program| lane_of_program(program, end)));
    }
    let timeline = Timeline {
        title: format!("Start of {}", place.node),
        subtitle: subtitle(record, place.version),
        lanes,
        foot: vec![outcome(record, end)],
    };
    timeline.draw()
}

fn lane_of(stage: &StageRecord) -> Lane {
    let bar = Bar {
        from: stage.start_ms as f64,
        to: stage.end_ms.map(|end| end as f64),
        goes_on: false,
        colour: STAGE,
        tip: stage.name.clone(),
    };
    let note = times(stage.start_ms, stage.end_ms);
    Lane { name: stage.name.clone(), depth: 0, bars: vec![bar], note }
}

/// A daemon goes on; its bar ends with the start.
fn lane_of_program(program: &ProgramRecord, end: Option<u64>) -> Lane {
    let until = match (program.end_ms, end) {
        (Some(ended), _) => Some(ended),
        (None, Some(end)) => Some(end.max(program.start_ms)),
        (None, None) => None,
    };
    let bar = Bar {
        from: program.start_ms as f64,
        to: until.map(|until| until as f64),
        goes_on: program.end_ms.is_none(),
        colour: PROGRAM,
        tip: program.name.clone(),
    };
    let note = times(program.start_ms, program.end_ms);
    Lane { name: program.name.clone(), depth: 1, bars: vec![bar], note }
}

fn times(start: u64, end: Option<u64>) -> String {
    let took = end.map_or("…".to_owned(), |end| format!("{} ms", end.saturating_sub(start)));
    format!("at {start:>5}  {took:>9}")
}

fn subtitle(record: &Record, version: &str) -> String {
    let engine =
        record.engine_version.as_ref().map_or_else(String::new, |engine| format!("engine {engine}, "));
    format!("{engine}dind {version}, {}", date(record.started_unix_ms))
}

fn outcome(record: &Record, end: Option<u64>) -> String {
    let failed = record.error.as_ref().map(|error| format!("{}: {}", record.state.name(), error.message));
    match (failed, record.state, end) {
        (Some(failed), ..) => failed,
        (_, NodeState::External, _) => {
            "No launcher has started this engine: its start is not on record.".to_owned()
        }
        (_, NodeState::Starting, _) => "It is still starting.".to_owned(),
        (.., Some(end)) => format!("Ready after {end} ms. Programs that have no end still ran then."),
        (.., None) => format!("The node is {}.", record.state.name()),
    }
}

/// Date and time in UTC; nothing for a time that no calendar has.
fn date(unix_ms: u64) -> String {
    let seconds = i64::try_from(unix_ms / 1000).ok();
    let Some(at) = seconds.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok()) else {
        return String::new();
    };
    let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
    format!("{year}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC", at.hour(), at.minute(), at.second())
}
