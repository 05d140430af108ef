//! The start as a time line: the node, bare dockerd, and the steps of docker:dind's entrypoint.

use super::figures::{Run, Start, Step};
use super::log::{milestones, since_begun};
use crate::lifecycle::outer::Container;
use crate::lifecycle::site::{DataRoot, Kind, Site};
use crate::series::{Task, in_turns};
use dind_lab::Result;
use serde_json::Value;
use std::cell::RefCell;

/// The name that a run has in the chart, that of its container, and who runs the engine.
const SUBJECTS: [(&str, &str, Kind); 4] = [
    ("dind", "start-node", Kind::Node),
    ("dind, with TLS", "start-tls", Kind::NodeWithTls),
    ("bare dockerd", "start-bare", Kind::Bare),
    ("docker:dind's steps, with TLS", "start-steps", Kind::Steps),
];

/// Measures. Of each subject, the run in the middle is kept.
pub(super) fn measure(site: &Site, rounds: usize) -> Result<(Start, String)> {
    let runs = RefCell::new(SUBJECTS.map(|_| Vec::new()));
    let version = RefCell::new(String::new());
    let mut tasks: Vec<_> = SUBJECTS
        .iter()
        .enumerate()
        .map(|(index, (name, label, kind))| {
            let (runs, version) = (&runs, &version);
            Task::new(name, move || {
                let container = Container::create(site, label, *kind, DataRoot::Volume)?;
                let took = container.start()?;
                *version.borrow_mut() = container.engine_version()?;
                let took_ms = took.as_secs_f64() * 1e3;
                let steps = steps(&container, *kind, took_ms)?;
                runs.borrow_mut()[index].push(Run { name: (*name).to_owned(), took_ms, steps });
                Ok(took)
            })
        })
        .collect();
    in_turns(rounds, &mut tasks)?;
    drop(tasks);
    let runs = runs.into_inner().into_iter().filter_map(|mut runs| {
        // The first only warms up.
        runs.remove(0);
        runs.sort_by(|one, other| one.took_ms.total_cmp(&other.took_ms));
        (!runs.is_empty()).then(|| runs.swap_remove(runs.len() / 2))
    });
    Ok((Start { runs: runs.collect() }, version.into_inner()))
}

fn steps(container: &Container<'_>, kind: Kind, took_ms: f64) -> Result<Vec<Step>> {
    match kind {
        Kind::Node | Kind::NodeWithTls => stages(&container.exec(&["dind-launch", "status"])?),
        Kind::Bare | Kind::Steps => Ok(milestones(&since_begun(&container.log()?), took_ms)),
    }
}

/// The stages of a node's own record.
fn stages(status: &str) -> Result<Vec<Step>> {
    let document: Value = serde_json::from_str(status)?;
    let stages = document["result"]["stages"].as_array().ok_or("the record has no stages")?;
    let step = |stage: &Value| {
        Some(Step {
            name: stage["name"].as_str()?.to_owned(),
            from_ms: stage["start_ms"].as_f64()?,
            to_ms: stage["end_ms"].as_f64()?,
        })
    };
    Ok(stages.iter().filter_map(step).filter(|step| step.name != "main").collect())
}
