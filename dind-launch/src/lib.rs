#![doc = include_str!("../README.md")]

pub mod bolt;
pub mod chain;
pub mod cli;
pub mod daemon_args;
pub mod daemon_json;
pub mod doctor;
pub mod engine;
pub mod facts;
pub mod fault;
pub mod life;
pub mod log;
pub mod main_process;
pub mod mesos;
pub mod mounts;
pub mod network_db;
pub mod node;
pub mod options;
pub mod overview;
pub mod preload;
pub mod prepare;
pub mod ready;
pub mod record;
pub mod restart;
pub mod stale;
pub mod status;
pub mod stop;
pub mod support;
pub mod timeline;
pub mod tools;

use dind_contract::{Report, Tool};

/// Who we are in documents and on stderr.
pub const TOOL: Tool = Tool { name: "dind-launch", schema: "dind.launch/v1" };

/// The JSON Schema of every document that the tool prints.
#[must_use]
pub fn schema() -> serde_json::Value {
    dind_contract::document::schema(TOOL, |generator| {
        vec![
            generator.subschema_for::<Report<overview::Overview>>(),
            generator.subschema_for::<Report<record::Record>>(),
            generator.subschema_for::<Report<doctor::Examination>>(),
            generator.subschema_for::<Report<prepare::Prepared>>(),
            generator.subschema_for::<Report<preload::Preloaded>>(),
        ]
    })
}
