#![doc = include_str!("../README.md")]

pub mod apply;
pub mod cli;
pub mod data_root;
pub mod facts;
pub mod fault;
pub mod image;
pub mod loopdev;
pub mod mount;
pub mod options;
pub mod plan;
pub mod privileges;
pub mod release;
pub mod report;
pub mod safe_path;
pub mod size;

use cli::{Cli, Verb};
use dind_contract::step::planned;
use dind_contract::{Draft, Outcome, Report, Tool};
use dind_system::Root;
use options::Options;
use report::Storage;

/// The program's name and the schema of its documents.
pub const TOOL: Tool = Tool { name: "dind-storage", schema: "dind.storage/v1" };

/// Runs the verb of the command line.
///
/// # Errors
/// An option is invalid, a privilege is missing, no driver works here, or a step failed.
pub fn run(cli: &Cli) -> Outcome<Storage> {
    let options = Options::parse(&cli.texts)?;
    let root = Root::at(&cli.common.root);
    match cli.verb {
        Verb::Plan => {
            let plan = plan::decide(&facts::observe(&root, &options)?, &options)?;
            let (engine, steps) = (plan.storage.engine(), planned(&plan.steps));
            Ok(Draft { result: plan.storage, engine, steps, warnings: plan.warnings })
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
