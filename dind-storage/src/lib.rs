#![doc = include_str!("../README.md")]

pub mod apply;
pub mod choose;
pub mod cli;
pub mod device;
pub mod document;
pub mod facts;
pub mod fault;
pub mod grow;
pub mod health;
pub mod holders;
pub mod image;
mod loopabi;
pub mod make;
pub mod mounts;
pub mod node;
pub mod options;
pub mod paths;
pub mod plan;
pub mod probe;
pub mod release;
pub mod size;
pub mod superblock;
pub mod trim;

use cli::{Cli, Verb};
use dind_contract::{Draft, Outcome, Report, Tool};
use document::Storage;
use options::Options;

/// Who is talking.
pub const TOOL: Tool = Tool { name: "dind-storage", schema: "dind.storage/v1" };

/// Does what the command line says.
///
/// # Errors
/// Options cannot be read, privileges are missing, nothing works here, or a step failed.
pub fn run(cli: &Cli) -> Outcome<Storage> {
    let options = Options::read(&cli.wanted)?;
    let root = cli.common.facts();
    match cli.verb {
        Verb::Plan => {
            let plan = plan::decide(&facts::observe(&root, &options)?, &options)?;
            Ok(Draft {
                engine: plan.engine(),
                steps: plan.steps(),
                result: plan.storage,
                warnings: plan.warnings,
            })
        }
        Verb::Apply => apply::apply(&root, &options),
        Verb::Release => release::release(&root, &options),
    }
}

/// The JSON Schema of every document that the tool prints.
#[must_use]
pub fn schema() -> serde_json::Value {
    dind_contract::document::schema(TOOL, |generator| vec![generator.subschema_for::<Report<Storage>>()])
}
