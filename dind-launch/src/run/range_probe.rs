//! `dind-net probe`, which asks whether a range of a bridged node is in use, that of IPv4 by ARP, and that of IPv6, if it has one,
//! by neighbour solicitations. It takes a third of a second, nearly all of it waiting, so it runs beside the rest of the start. Its
//! answer is waited for before anything of ours can use an address of the range.

use super::state::RunState;
use crate::process::sibling::{self, Document, documents};
use crate::process::tool::{OnStopSignal, ToolProcess};
use crate::process::{Node, StopReason};
use dind_contract::{Fault, value};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// The variable that switches the probe off: for the user, and for an `apply` beside which the range is probed.
pub(super) const VARIABLE: &str = "DIND_NET_PROBE";

/// Starts the probe that the network's plan calls for; nothing in default mode, and none for a node that is bridged already.
///
/// # Errors
/// [`crate::fault::TOOL_BROKEN`].
pub(super) fn start(
    node: &mut Node,
    state: &RunState,
    plan: &Document,
) -> Result<Option<ToolProcess>, Fault> {
    let unwanted = std::env::var(VARIABLE).is_ok_and(|text| value::boolean(&text) == Ok(false));
    let bridges = plan.steps.iter().any(|step| step.op == "write-journal");
    let text = |key: &str| plan.result.get(key).and_then(Value::as_str);
    match (text("range"), text("uplink")) {
        (Some(range), Some(link)) if bridges && !unwanted => {
            let args = ["probe", "--range", range, "--link", link];
            sibling::start(node, &state.tools.net, &args, &[]).map(Some)
        }
        _ => Ok(None),
    }
}

/// Starts the probe of the IPv6 range that an apply has decided on: it depends on the engine's version, which the plan does not know.
///
/// # Errors
/// [`crate::fault::TOOL_BROKEN`].
pub(super) fn start6(
    node: &mut Node,
    state: &RunState,
    applied: &Document,
) -> Result<Option<ToolProcess>, Fault> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let range = text(applied.result.get("ipv6").and_then(|ipv6| ipv6.get("range")));
    let Some((range, link)) = range.zip(text(applied.result.get("uplink"))) else { return Ok(None) };
    sibling::start(node, &state.tools.net, &["probe", "--range", &range, "--link", &link], &[]).map(Some)
}

/// Waits for the answer before dockerd starts, where it may start containers by itself.
///
/// # Errors
/// As [`finish`].
pub(super) fn finish_before_engine(node: &mut Node, state: &mut RunState) -> Result<(), StopReason> {
    if starts_containers(&state.data_root) { finish(node, state) } else { Ok(()) }
}

/// Waits for the answers that are not there yet.
///
/// # Errors
/// Somebody uses an address of the range; the probe failed; the signal that asks the node to stop.
pub(super) fn finish(node: &mut Node, state: &mut RunState) -> Result<(), StopReason> {
    for stage in ["probe", "probe6"] {
        if state.range_probes.is_empty() {
            break;
        }
        // What is left is the shutdown's to end.
        let probe = state.range_probes.remove(0);
        let [document] = documents(node, [probe], OnStopSignal::Terminate, None)?;
        state.writer.keep(stage, document);
    }
    Ok(())
}

/// Whether a data root holds containers or a swarm's tasks that dockerd starts by itself. Where it cannot be said, it does.
fn starts_containers(data_root: &Path) -> bool {
    let restarts = |container: fs::DirEntry| {
        let text = fs::read(container.path().join("hostconfig.json")).unwrap_or_default();
        let settings: Value = serde_json::from_slice(&text).unwrap_or_default();
        !matches!(settings["RestartPolicy"]["Name"].as_str(), Some("" | "no"))
    };
    let containers = fs::read_dir(data_root.join("containers")).into_iter().flatten();
    data_root.join("swarm/docker-state.json").exists() || containers.flatten().any(restarts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_with_a_restart_policy_are_started_by_dockerd() {
        let directory = tempfile::tempdir().unwrap();
        assert!(!starts_containers(directory.path()), "a new data root");
        let container = directory.path().join("containers/0a1b");
        fs::create_dir_all(&container).unwrap();
        for (name, starts) in [("no", false), ("", false), ("always", true), ("unless-stopped", true)] {
            let settings = serde_json::json!({"RestartPolicy": {"Name": name, "MaximumRetryCount": 0}});
            fs::write(container.join("hostconfig.json"), settings.to_string()).unwrap();
            assert_eq!(starts_containers(directory.path()), starts, "{name}");
        }
        fs::remove_file(container.join("hostconfig.json")).unwrap();
        assert!(starts_containers(directory.path()), "nobody knows");
    }
}
