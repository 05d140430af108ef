//! What a document's `result` holds.

use schemars::JsonSchema;
use serde::Serialize;
use std::time::Duration;

/// Result of `plan`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PlanResult {
    /// How long the whole stop may take, in milliseconds.
    pub budget_ms: u64,
    /// The containers that `stop` would stop, sorted by name.
    pub running: Vec<RunningContainer>,
}

/// A container that `stop` would stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RunningContainer {
    /// The full id.
    pub id: String,
    /// The name, without the leading slash of Docker's API.
    pub name: String,
    /// `running`, `paused` or `restarting`.
    pub state: String,
    /// The signal that asks it to stop.
    pub stop_signal: String,
    /// Its own stop timeout in seconds; -1 means no limit.
    pub stop_timeout: i64,
    /// How long it would have between the stop signal and the kill, in milliseconds.
    pub grace_ms: u64,
}

/// Result of `stop` and `watch`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StopResult {
    /// How long the whole stop may take, in milliseconds.
    pub budget_ms: u64,
    /// The containers that were stopped, in the order of their ends. One that came back is listed once, as it ended last.
    pub stopped: Vec<StoppedContainer>,
    /// Names of the containers that still run. Always empty here: a stop that leaves containers is an error, which names them.
    pub left: Vec<String>,
    /// How the engine ended; only where the stop was its end, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineEnd>,
}

/// How the engine ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct EngineEnd {
    /// Process id of dockerd.
    pub pid: i32,
    /// Whether it has ended within the budget, and so has written down how its containers ended.
    pub ended: bool,
    /// Whether a signal had stopped it (SIGSTOP), so that it was not waited for.
    pub hangs: bool,
    /// Whether containerd had died before, so that dockerd was not waited for to the end of the budget.
    pub lost_containerd: bool,
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StoppedContainer {
    /// The full id.
    pub id: String,
    /// The name, without the leading slash of Docker's API.
    pub name: String,
    /// What ended it.
    pub outcome: StopOutcome,
    /// Its exit status; null where the engine no longer knows it.
    pub exit_code: Option<i64>,
    /// How long its stop took, in milliseconds.
    pub ms: u64,
}

/// What ended a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StopOutcome {
    /// It ended within its grace period.
    Graceful,
    /// It did not, and was killed.
    Killed,
    /// It had ended before it was asked.
    Vanished,
}

/// Whole milliseconds, as documents give all times.
#[must_use]
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
