//! `status` for people: what the node is and does, in a screenful.

use super::record::{Hold, NodeState, Record, StageRecord};
use crate::stage::Stage;
use crate::terminal::{Ink, Screen, size};
use crate::usage::engine::Counts;
use dind_contract::Warning;
use serde_json::Value;
use std::time::Duration;

/// Of the label's column.
const COLUMN: usize = 10;

/// The lines. `now` is the time in milliseconds since 1970.
#[must_use]
pub fn lines(
    record: &Record,
    warnings: &[Warning],
    containers: Option<Counts>,
    now: u64,
    screen: &Screen,
) -> Vec<String> {
    let mut lines = Vec::new();
    let mut row = |ink: Ink, label: &str, text: &str| {
        lines.extend(screen.labelled((ink, label, COLUMN), text));
    };
    row(ink(record.state), "node", &node(record, now));
    if let Some(error) = &record.error {
        row(Ink::Bad, "error", &error.message);
        error.causes.iter().for_each(|cause| row(Ink::Plain, "  cause", cause));
        row(Ink::Plain, "  hint", &error.hint);
    }
    row(Ink::Strong, "main", &main_process(record));
    row(Ink::Strong, "engine", &engine(record));
    if let Some(Counts { running, all }) = containers {
        row(Ink::Strong, "containers", &format!("{running} running, {all} in all"));
    }
    let of = |stage: &str| record.documents.get(stage).map(|document| &document.result);
    if let Some(net) = of("net") {
        row(Ink::Strong, "network", &network(net));
    }
    if let Some(storage) = of("storage-now").or(of("storage")) {
        row(Ink::Strong, "storage", &storage_line(storage));
    }
    if let Some(reclaim) = &record.reclaim {
        let freed = size(reclaim.freed_bytes);
        let text = format!(
            "above {}%: {} images went, {freed} are free again",
            reclaim.above_percent, reclaim.images
        );
        row(Ink::Strong, "reclaim", &text);
    }
    for warning in warnings {
        row(Ink::Caution, "warning", &warning.message);
        if !warning.hint.is_empty() {
            row(Ink::Plain, "  hint", &warning.hint);
        }
    }
    lines.extend(stages(&record.stages, screen));
    lines
}

fn ink(state: NodeState) -> Ink {
    match state {
        NodeState::Running | NodeState::External => Ink::Good,
        NodeState::Failed => Ink::Bad,
        NodeState::Starting | NodeState::Stopping | NodeState::Stopped => Ink::Caution,
    }
}

fn node(record: &Record, now: u64) -> String {
    let state = record.state.name();
    let ago = Duration::from_secs(now.saturating_sub(record.started_unix_ms) / 1000);
    let ago = humantime::format_duration(ago);
    match record.state {
        NodeState::External => format!("{state}: somebody else than dind-launch has started the engine"),
        NodeState::Stopped | NodeState::Failed => {
            let status = record.exit_status.map(|status| format!(" with exit status {status}"));
            format!("{state}{}; it was started {ago} ago", status.unwrap_or_default())
        }
        _ => format!("{state}, started {ago} ago, pid {}", record.pid),
    }
}

fn main_process(record: &Record) -> String {
    let command = shell_words::join(&record.command);
    match (record.main_pid, record.hold) {
        (Some(pid), _) => format!("{command} (pid {pid})"),
        (None, Some(Hold::Waiting)) => "none yet: dind-launch claim -- COMMAND brings it".to_owned(),
        (None, _) if command.is_empty() => "none: the engine is the service".to_owned(),
        (None, _) => format!("{command} (does not run)"),
    }
}

fn engine(record: &Record) -> String {
    let pid = |pid: Option<i32>| pid.map_or("does not run".to_owned(), |pid| format!("pid {pid}"));
    let version = record.engine_version.as_ref().map(|version| format!(" {version}"));
    let mut text = format!(
        "Docker Engine{} ({}) on {}, containerd ({})",
        version.unwrap_or_default(),
        pid(record.engine_pid),
        record.socket.display(),
        pid(record.containerd_pid)
    );
    if record.engine_restarts > 0 {
        text.push_str(&format!(", {} restarts", record.engine_restarts));
    }
    text
}

/// Text at a pointer (RFC 6901); numbers as they are.
fn at(value: &Value, pointer: &str) -> Option<String> {
    match value.pointer(pointer)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn network(net: &Value) -> String {
    let mut parts = vec![format!("{} mode", at(net, "/mode").unwrap_or_default())];
    let bridge = at(net, "/bridge/name").zip(at(net, "/bridge/address"));
    parts.extend(bridge.map(|(name, address)| format!("{name} {address}")));
    parts.extend(at(net, "/range").map(|range| format!("inner containers in {range}")));
    parts.extend(at(net, "/bridge/mtu").map(|mtu| format!("MTU {mtu}")));
    let list = |key: &str| {
        let list = net.get(key)?.as_array()?.iter().filter_map(Value::as_str).collect::<Vec<_>>();
        (!list.is_empty()).then(|| list.join(" "))
    };
    parts.extend(list("pools").map(|pools| format!("user-defined networks from {pools}")));
    parts.extend(list("resolvers").map(|servers| format!("name servers {servers}")));
    if net.pointer("/ipv6/enabled").and_then(Value::as_bool) == Some(true) {
        parts.extend(at(net, "/ipv6/range").or(at(net, "/ipv6/subnet")).map(|range| format!("IPv6 {range}")));
    }
    parts.extend(
        at(net, "/firewall/backend").or(at(net, "/iptables/backend")).map(|name| format!("firewall {name}")),
    );
    parts.join(", ")
}

fn storage_line(storage: &Value) -> String {
    let mut text = at(storage, "/driver").or(at(storage, "/store/snapshotter")).unwrap_or_default();
    if let Some(filesystem) = at(storage, "/filesystem") {
        text.push_str(&format!(" on {filesystem}"));
    }
    text.push_str(&format!(" at {}", at(storage, "/data_root").unwrap_or_default()));
    if let Some(image) = at(storage, "/image/path") {
        text.push_str(&format!(" in {image}"));
    }
    let bytes = |key: &str| storage.pointer(&format!("/space/{key}")).and_then(Value::as_u64);
    if let Some((used, total)) = bytes("used_bytes").zip(bytes("total_bytes").filter(|total| *total > 0)) {
        let percent = used.saturating_mul(100) / total;
        text.push_str(&format!(", {} of {} in use ({percent}%)", size(used), size(total)));
    }
    if storage.pointer("/health/read_only").and_then(Value::as_bool) == Some(true) {
        text.push_str(", read-only");
    }
    text
}

/// The stages of the start, and those of a stop beneath, each with its time.
fn stages(stages: &[StageRecord], screen: &Screen) -> Vec<String> {
    let mut lines = Vec::new();
    let (start, rest): (Vec<_>, Vec<_>) = stages.iter().partition(|stage| Stage::is_of_start(&stage.name));
    for (label, stages) in [("start", start), ("since", rest)] {
        let took = |stage: &StageRecord| match stage.end_ms {
            Some(end) => format!("{} {} ms", stage.name, end.saturating_sub(stage.start_ms)),
            None => format!("{} under way", stage.name),
        };
        let ends = stages.iter().filter_map(|stage| stage.end_ms).max();
        let total = match (ends, stages.iter().all(|stage| stage.end_ms.is_some()), label) {
            (Some(end), true, "start") => format!("{end} ms: "),
            _ => String::new(),
        };
        if !stages.is_empty() {
            let text = stages.iter().map(|stage| took(stage)).collect::<Vec<_>>().join(", ");
            lines.extend(screen.labelled((Ink::Strong, label, COLUMN), &format!("{total}{text}")));
        }
    }
    lines
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
