#![doc = include_str!("../README.md")]

pub mod cli;
pub mod container;
pub mod drain;
pub mod engine;
pub mod evidence;
pub mod fault;
pub mod help;
pub mod init;
pub mod manual;
pub mod options;
pub mod plan;
pub mod reclaim;
pub mod records;
pub mod report;
pub mod shutdown;
pub mod signals;
pub mod stop;
pub mod tasks;

use dind_contract::{Report, Tool};

/// The tool's name and the schema of its documents.
pub const TOOL: Tool = Tool { name: "dind-reaper", schema: "dind.reaper/v1" };

/// The JSON Schema of every document that the tool prints.
#[must_use]
pub fn schema() -> serde_json::Value {
    dind_contract::document::schema(TOOL, |generator| {
        vec![
            generator.subschema_for::<Report<report::PlanResult>>(),
            generator.subschema_for::<Report<report::StopResult>>(),
            generator.subschema_for::<Report<drain::DrainResult>>(),
            generator.subschema_for::<Report<evidence::EvidenceResult>>(),
            generator.subschema_for::<Report<reclaim::report::ReclaimResult>>(),
        ]
    })
}
