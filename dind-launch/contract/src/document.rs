//! The one JSON line that each tool prints.

use crate::engine::Engine;
use crate::fault::{ErrorObject, Fault};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

/// Who is talking: the program's name and the schema its documents follow.
#[derive(Clone, Copy, Debug)]
pub struct Tool {
    /// Program name, the prefix of its lines on stderr.
    pub name: &'static str,
    /// `dind.NAME/vN`.
    pub schema: &'static str,
}

/// The document of a success.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report<T> {
    /// `dind.NAME/vN`; readers refuse another major version and ignore unknown keys.
    pub schema: String,
    /// Always true here; false is a [`Failure`].
    pub ok: bool,
    /// The verb that was asked for.
    pub mode: String,
    /// Whether the machine is different now.
    pub changed: bool,
    /// What the tool found and decided.
    pub result: T,
    /// What the Docker Engine has to be told.
    pub engine: Engine,
    /// What was done, in order. A plan lists what an apply would do.
    pub steps: Vec<Step>,
    /// What a careful reader should know.
    pub warnings: Vec<Warning>,
}

/// The document of a failure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// `dind.NAME/vN`.
    pub schema: String,
    /// Always false here.
    pub ok: bool,
    /// The verb that was asked for.
    pub mode: String,
    /// What went wrong.
    pub error: ErrorObject,
    /// What was done before it went wrong, and what was undone after.
    pub steps: Vec<Step>,
}

/// One change of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// Kebab-case verb and noun, such as `mount-image`.
    pub op: String,
    /// What it was done to.
    pub target: String,
    /// How it ended.
    pub state: State,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Only in plans: it would be done.
    Planned,
    /// It was done.
    Done,
    /// It was as wanted already.
    Skipped,
    /// It was done, and taken back after a later step failed.
    Undone,
}

/// Something that works, but not as the reader may expect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Warning {
    /// Kebab-case, from the table in the tool's README.
    pub code: String,
    /// One sentence.
    pub message: String,
    /// What can be done about it.
    pub hint: String,
}

impl Warning {
    /// A warning.
    #[must_use]
    pub fn new(code: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), hint: hint.into() }
    }
}

/// A growing list of steps; it is part of the document whether the work succeeds or fails.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steps(pub Vec<Step>);

impl Steps {
    /// Notes a step.
    pub fn push(&mut self, op: &str, target: impl std::fmt::Display, state: State) {
        self.0.push(Step { op: op.to_owned(), target: target.to_string(), state });
    }

    /// Marks the last step that was done as taken back.
    pub fn undone(&mut self) {
        if let Some(step) = self.0.iter_mut().rev().find(|step| step.state == State::Done) {
            step.state = State::Undone;
        }
    }

    /// Whether any step changed the machine.
    #[must_use]
    pub fn changed(&self) -> bool {
        self.0.iter().any(|step| step.state == State::Done)
    }
}

/// What a tool hands to [`crate::finish()`] when it succeeds: a report before it knows its name and verb.
#[derive(Clone, Debug, Default)]
pub struct Draft<T> {
    /// See [`Report::result`].
    pub result: T,
    /// See [`Report::engine`].
    pub engine: Engine,
    /// See [`Report::steps`]; `changed` follows from them.
    pub steps: Steps,
    /// See [`Report::warnings`].
    pub warnings: Vec<Warning>,
}

/// What a tool hands to [`crate::finish()`] when it fails.
#[derive(Clone, Debug)]
pub struct Failed {
    /// What went wrong.
    pub fault: Box<Fault>,
    /// What had been done by then, and undone.
    pub steps: Steps,
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self { fault: Box::new(fault), steps: Steps::default() }
    }
}

/// The two ways a verb ends.
pub type Outcome<T> = Result<Draft<T>, Failed>;

/// The JSON Schema of everything that a tool prints. One generator makes all documents, so that their references meet in
/// one `$defs`.
pub fn schema(tool: Tool, documents: impl FnOnce(&mut SchemaGenerator) -> Vec<Schema>) -> serde_json::Value {
    let mut generator = SchemaGenerator::default();
    let mut documents = documents(&mut generator);
    documents.push(generator.subschema_for::<Failure>());
    serde_json::json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": tool.schema,
        "oneOf": documents,
        "$defs": generator.take_definitions(true),
    })
}
