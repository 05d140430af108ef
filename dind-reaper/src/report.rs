//! What stands in `result`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Result of `plan`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Planned {
    /// The time for everything, in milliseconds.
    pub budget_ms: u64,
    /// What runs now.
    pub running: Vec<Running>,
}

/// A container that `stop` would stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Running {
    /// The whole id.
    pub id: String,
    /// Its name, without the slash that the API puts in front.
    pub name: String,
    /// `running`, `paused` or `restarting`.
    pub state: String,
    /// The signal that asks it to stop.
    pub stop_signal: String,
    /// Its own stop timeout in seconds; -1 is for ever.
    pub stop_timeout: i64,
    /// What it would get before it is killed, in milliseconds.
    pub grace_ms: u64,
}

/// Result of `stop` and `watch`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stopped {
    /// The time for everything, in milliseconds.
    pub budget_ms: u64,
    /// Every container that was stopped, in the order of their ends. One that came back and was stopped again is
    /// there once, with its last end.
    pub stopped: Vec<Ended>,
    /// Names of those that still run. Always empty here: otherwise the document is an error, and names them there.
    pub left: Vec<String>,
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ended {
    /// The whole id.
    pub id: String,
    /// Its name, without the slash that the API puts in front.
    pub name: String,
    /// What ended it.
    pub outcome: Outcome,
    /// Its exit status; nothing where the engine does not know it any more.
    pub exit_code: Option<i64>,
    /// From its first being asked to its end, in milliseconds.
    pub ms: u64,
}

/// What ended a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It ended within its grace.
    Graceful,
    /// It did not, and was killed.
    Killed,
    /// It had ended before it was asked.
    Vanished,
}
