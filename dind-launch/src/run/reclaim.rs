//! `DIND_STORAGE_RECLAIM`: `dind-reaper reclaim` waits beside the node until the disk is too full, takes what nobody needs, and ends with
//! a document. It is started again then. Another process looks at the disk: one that does not answer must not keep PID 1.

use super::state::RunState;
use crate::TOOL;
use crate::process::Node;
use crate::process::sibling::{self, Document};
use crate::process::tool::ToolProcess;
use crate::status::record::ReclaimRecord;
use dind_contract::finish::log_warning;
use dind_contract::{Fault, Warning};
use serde_json::Value;

/// The reaper's warning that nothing is left to take.
const EXHAUSTED: &str = "reclaim-exhausted";

/// Starts it, where space is to be reclaimed.
pub(super) fn start(node: &mut Node, state: &mut RunState) {
    let Some(above_percent) = state.options.reclaim else { return };
    state
        .writer
        .record
        .reclaim
        .get_or_insert_with(|| ReclaimRecord { above_percent, ..ReclaimRecord::default() });
    match start_tool(node, state, above_percent) {
        Ok(tool) => state.reclaim = Some(tool),
        Err(fault) => warn(state, &fault),
    }
    state.writer.update();
}

fn start_tool(node: &mut Node, state: &RunState, above: u8) -> Result<ToolProcess, Fault> {
    let record = &state.writer.record;
    let mut args = ["reclaim", "--wait", "--above"].map(str::to_owned).to_vec();
    args.extend([above.to_string(), "--data-root".to_owned(), state.data_root.display().to_string()]);
    args.extend(
        record.reclaim.as_ref().filter(|reclaim| reclaim.exhausted).map(|_| "--exhausted".to_owned()),
    );
    args.extend(record.documents.get("storage").map(seeded).unwrap_or_default());
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let host = format!("unix://{}", record.socket.display());
    sibling::start(node, &state.tools.reaper, &args, &[("DOCKER_HOST", &host)])
}

/// Images of seeds stay: their layers take none of this disk.
fn seeded(storage: &Document) -> Vec<String> {
    let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    let images = list(storage.result.get("seeds")).into_iter().flat_map(|seed| list(seed.get("images")));
    let ids = images.filter_map(|image| image.get("id").and_then(Value::as_str).map(str::to_owned));
    ids.flat_map(|id| ["--keep".to_owned(), id]).collect()
}

/// Notes what it has taken, once it has, and starts it again.
pub(super) fn collect(node: &mut Node, state: &mut RunState) {
    let Some(tool) = state.reclaim.take_if(|tool| tool.is_finished(node)) else { return };
    match sibling::document(node, &tool) {
        Ok(document) => {
            note(state, document);
            start(node, state);
        }
        // It has failed at something that will not change, and has logged it.
        Err(fault) => {
            warn(state, &fault);
            state.writer.update();
        }
    }
}

fn note(state: &mut RunState, document: Document) {
    let taken = document.result.get("taken").and_then(Value::as_array).cloned().unwrap_or_default();
    if let Some(reclaim) = &mut state.writer.record.reclaim {
        reclaim.rounds += u64::from(!taken.is_empty());
        reclaim.images += taken.iter().filter(|taken| taken["kind"] == "image").count() as u64;
        reclaim.freed_bytes += taken.iter().filter_map(|taken| taken["freed_bytes"].as_u64()).sum::<u64>();
        reclaim.exhausted = document.result.get("exhausted") == Some(&Value::Bool(true));
    }
    // That of the round before is out of date.
    state.writer.record.warnings.retain(|warning| warning.code != EXHAUSTED);
    state.writer.keep("reclaim", document);
}

fn warn(state: &mut RunState, fault: &Fault) {
    let warning = Warning::new(
        "reclaim-failed",
        format!("no space is reclaimed any more: {fault}"),
        fault.hint.clone(),
    );
    log_warning(TOOL, &warning);
    state.writer.record.warnings.push(warning);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn document(result: Value) -> Document {
        let empty = json!({"schema": "dind.storage/v1", "ok": true, "mode": "apply", "changed": true, "result": result,
            "engine": {"config": {}, "path_prepend": []}, "steps": [], "warnings": []});
        serde_json::from_value(empty).unwrap()
    }

    #[test]
    fn images_of_seeds_are_kept() {
        assert_eq!(seeded(&document(json!({"data_root": "/var/lib/docker"}))), [""; 0]);
        let seeds = json!({"seeds": [{"images": [{"id": "sha256:0a"}, {"id": "sha256:0b"}]}, {}, {"images": [{"id": "sha256:0c"}]}]});
        let args = seeded(&document(seeds));
        assert_eq!(args.join(" "), "--keep sha256:0a --keep sha256:0b --keep sha256:0c");
    }
}
