#![doc = include_str!("../README.md")]

pub mod apply;
pub mod bind_mount;
pub mod cli;
pub mod data_root;
pub mod facts;
pub mod fault;
pub mod help;
pub mod image;
pub mod loopdev;
pub mod manual;
pub mod mount;
pub mod options;
pub mod plan;
pub mod privileges;
pub mod release;
pub mod report;
pub mod safe_path;
pub mod seal;
pub mod seed;
pub mod size;
pub mod store;

use cli::{ReleaseTexts, Texts};
use dind_contract::step::planned;
use dind_contract::{Draft, Outcome, Report, Tool};
use dind_system::Root;
use options::{Options, ReleaseOptions};
use report::Storage;

/// The program's name and the schema of its documents.
pub const TOOL: Tool = Tool { name: "dind-storage", schema: "dind.storage/v1" };

/// Computes what an apply would do.
///
/// # Errors
/// An option is invalid, or no driver works here.
pub fn run_plan(root: &Root, texts: &Texts) -> Outcome<Storage> {
    let options = Options::parse(texts)?;
    let plan = plan::decide(&facts::observe(root, &options)?, &options)?;
    let (engine, steps) = (plan.storage.engine(), planned(&plan.steps));
    Ok(Draft { result: plan.storage, engine, steps, warnings: plan.warnings })
}

/// Prepares the data root.
///
/// # Errors
/// An option is invalid, a privilege is missing, no driver works here, or a step failed.
pub fn run_apply(root: &Root, texts: &Texts) -> Outcome<Storage> {
    apply::apply(root, &Options::parse(texts)?)
}

/// Undoes an apply.
///
/// # Errors
/// An option is invalid, a privilege is missing, or a step failed.
pub fn run_release(root: &Root, texts: &ReleaseTexts) -> Outcome<Storage> {
    release::release(root, &ReleaseOptions::parse(texts)?)
}

/// The JSON Schema of every document that the tool prints.
#[must_use]
pub fn schema() -> serde_json::Value {
    dind_contract::document::schema(TOOL, |generator| {
        vec![
            generator.subschema_for::<Report<Storage>>(),
            generator.subschema_for::<Report<seal::report::Sealed>>(),
        ]
    })
}
