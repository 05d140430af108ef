//! `evidence`: writes down what happens in the containers, as it happens, so that it is there when the node is gone.
//!
//! ```text
//! DIR/NAME/record.json  engine.log  events.jsonl  containers/NAME-ID/{state.json,log}
//! ```
//!
//! While the engine lives, its API is asked: events, logs that are followed, inspections. An engine that shuts down waits for its
//! clients, so they leave as soon as it closes its socket, or when a signal says that it is about to. What the containers print from
//! then on is read from the engine's own files when it has ended, and so are their ends. `place` is where it is written, `known` a
//! container, `containers` all of them, `source` where it comes from, `engine_log` what is piped to us, `disk` the room on its disk, `collect` the loop.

mod collect;
mod containers;
mod disk;
mod engine_log;
mod known;
mod place;
mod source;

use crate::cli::EvidenceArgs;
use crate::engine::runtime;
use crate::options::{Options, this_machine};
use crate::{fault, signals};
use collect::Collector;
use dind_contract::cli::given;
use dind_contract::{Draft, Fault, Outcome, Warning, value};
use dind_system::time_of_day;
use futures_util::future::{Either, select};
use place::Place;
use schemars::JsonSchema;
use serde::Serialize;
use std::path::PathBuf;
use std::pin::pin;
use tokio::sync::watch;

/// How much all files of a run may have, in bytes.
const DEFAULT_SIZE: u64 = 256 << 20;
/// Less would hold nothing.
const LEAST_SIZE: u64 = 1 << 20;

/// What has been written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct EvidenceResult {
    /// The directory of this run.
    pub directory: PathBuf,
    /// Containers that are there.
    pub containers: u64,
    /// Containers whose directories were removed again, the oldest first, to make room for others.
    pub removed: u64,
    /// Bytes that are there.
    pub bytes: u64,
    /// Bytes of logs that are not there: beyond the limits, or not written.
    pub cut_bytes: u64,
}

/// Collects, until the engine ends. Where the engine's log is piped to us, until that ends. A signal ends it sooner: at once, unless
/// the engine is ending or its log is piped, which is then waited for, until a second signal.
///
/// # Errors
/// A flag is invalid, or the directory cannot be made. What goes wrong later is a warning.
pub fn evidence(args: &EvidenceArgs) -> Outcome<EvidenceResult> {
    let options = Options::of_engine(&args.engine, &this_machine()?)?;
    let parent = given(args.dir.as_ref()).map(PathBuf::from).ok_or_else(no_directory)?;
    let size = given(args.size.as_ref()).map_or(Ok(DEFAULT_SIZE), size)?;
    let name = args.name.clone().unwrap_or_else(default_name);
    let place = Place::of_node(&parent, &name, size, args.record_only).map_err(|error| {
        let fault = fault::EVIDENCE_UNWRITABLE.cannot("make a directory in", parent.display(), error);
        fault.hint(
            "mount a directory there that root can write to: docker run --volume /srv/evidence:/evidence",
        )
    })?;
    if args.record_only {
        place.copy_record(&args.record, 0);
        let result = EvidenceResult { directory: place.path.clone(), ..EvidenceResult::default() };
        return Ok(Draft { result, ..Draft::default() });
    }
    let mut supervisor = signals::take_over()?;
    let (interrupt, interrupted) = watch::channel(0);
    let mut collector = Collector::new(place, &options, args.record.clone(), size);
    runtime()?.block_on(async {
        let collect = pin!(collector.run(interrupted));
        match select(collect, pin!(signals::relay(&mut supervisor, &interrupt))).await {
            Either::Left(((), _)) => {}
            Either::Right((never, _)) => match never {},
        }
    });
    let (result, failed) = collector.finish();
    let mut warnings = options.warnings;
    if let Some(error) = failed {
        let message = format!(
            "evidence is not complete: cannot write to {}: {}",
            result.directory.display(),
            error.desc()
        );
        warnings.push(Warning::new(
            fault::EVIDENCE_CUT,
            message,
            "give it a directory with free space that root can write to",
        ));
    } else if result.cut_bytes > 0 || result.removed > 0 {
        let message = format!(
            "evidence is not complete: {} bytes of logs and {} containers are left out",
            result.cut_bytes, result.removed
        );
        warnings.push(Warning::new(fault::EVIDENCE_CUT, message, "raise DIND_EVIDENCE_SIZE"));
    }
    Ok(Draft { result, warnings, ..Draft::default() })
}

fn no_directory() -> Fault {
    let fault = fault::EVIDENCE_INVALID.failed("cannot write evidence", "no directory is named");
    fault.hint("name one with --dir or DIND_EVIDENCE")
}

/// A size with a unit, in bytes.
fn size(text: &str) -> Result<u64, Fault> {
    let invalid = |cause: &str| {
        let fault = fault::EVIDENCE_INVALID.invalid("DIND_EVIDENCE_SIZE", text, cause);
        fault.hint("set DIND_EVIDENCE_SIZE=256MiB, or unset it for that default")
    };
    match value::bytes(text) {
        Err(cause) => Err(invalid(&cause)),
        Ok(bytes) if bytes < LEAST_SIZE => Err(invalid("it is less than 1MiB")),
        Ok(bytes) => Ok(bytes),
    }
}

fn default_name() -> String {
    let host = nix::unistd::gethostname().unwrap_or_default();
    format!("{}-{}", host.to_string_lossy(), time_of_day().as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("64MiB"), Ok(64 << 20));
        for text in ["x", "1KiB"] {
            assert_eq!(size(text).unwrap_err().code, fault::EVIDENCE_INVALID, "{text}");
        }
    }
}
