#![doc = include_str!("../README.md")]

mod apparmor;
pub mod claim;
pub mod cli;
pub mod doctor;
pub mod drain;
pub mod engine;
pub mod entrypoint;
pub mod executable;
pub mod fault;
pub mod forms;
pub mod help;
pub mod manual;
pub mod mesos;
pub mod options;
pub mod paths;
pub mod plan;
pub mod prepare;
pub mod process;
pub mod reload;
pub mod restart_policy;
pub mod rootless;
pub mod run;
pub mod stage;
pub mod stages;
pub mod status;
pub mod stop_signals;
pub mod terminal;
pub mod tls;
pub mod top;
pub mod usage;
pub mod variables;

use dind_contract::{Report, Tool};

/// The tool's name and schema.
pub const TOOL: Tool = Tool { name: "dind-launch", schema: "dind.launch/v1" };

/// The JSON Schema of every document that the tool prints.
#[must_use]
pub fn schema() -> serde_json::Value {
    dind_contract::document::schema(TOOL, |generator| {
        vec![
            generator.subschema_for::<Report<plan::RunPlan>>(),
            generator.subschema_for::<Report<status::record::Record>>(),
            generator.subschema_for::<Report<doctor::Examination>>(),
            generator.subschema_for::<Report<prepare::Prepared>>(),
            generator.subschema_for::<Report<engine::preload::Preloaded>>(),
            generator.subschema_for::<Report<reload::Reloaded>>(),
            generator.subschema_for::<Report<tls::Certificates>>(),
            generator.subschema_for::<Report<status::wait::WaitResult>>(),
            generator.subschema_for::<Report<drain::Drained>>(),
            generator.subschema_for::<Report<top::report::Top>>(),
        ]
    })
}
