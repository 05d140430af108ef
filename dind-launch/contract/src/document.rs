//! The one JSON line that each tool prints.

use crate::fault::{ErrorObject, Fault};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::path::PathBuf;

/// Who writes: the program's name and the schema of its documents.
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
    /// Settings for the Docker Engine.
    pub engine: Engine,
    /// What was done, in order. A plan lists what an apply would do.
    pub steps: Vec<StepReport>,
    /// What a careful reader should know.
    pub warnings: Vec<Warning>,
}

/// Settings for the Docker Engine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Engine {
    /// A fragment of `daemon.json`, keys as Docker spells them there.
    pub config: Map<String, Value>,
    /// Directories that go to the front of the engine's `PATH`.
    #[serde(default)]
    pub path_prepend: Vec<PathBuf>,
}

impl Engine {
    /// Sets one key of [`Engine::config`].
    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.config.insert(key.to_owned(), value.into());
    }
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
    pub steps: Vec<StepReport>,
}

/// One change of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Step")]
pub struct StepReport {
    /// Kebab-case verb and noun, such as `mount-image`.
    pub op: String,
    /// What it was done to.
    pub target: String,
    /// How it ended.
    pub state: StepState,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "State")]
pub enum StepState {
    /// Only in plans: it would be done.
    Planned,
    /// It was done.
    Done,
    /// There was nothing to do.
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

/// The steps of a document, whether the work succeeds or fails.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steps(pub Vec<StepReport>);

impl Steps {
    /// Adds a step that is no [`crate::step::Step`]: what a release found to undo, say.
    pub fn push(&mut self, op: &str, target: impl std::fmt::Display, state: StepState) {
        self.0.push(StepReport { op: op.to_owned(), target: target.to_string(), state });
    }

    /// Whether any step changed the machine.
    #[must_use]
    pub fn changed(&self) -> bool {
        self.0.iter().any(|step| step.state == StepState::Done)
    }
}

/// A success before it has the tool's name and verb: what a tool hands to [`crate::finish()`].
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

impl<T> Draft<T> {
    /// The document.
    pub fn report(self, tool: Tool, mode: &str) -> Report<T> {
        Report {
            schema: tool.schema.to_owned(),
            ok: true,
            mode: mode.to_owned(),
            changed: self.steps.changed(),
            result: self.result,
            engine: self.engine,
            steps: self.steps.0,
            warnings: self.warnings,
        }
    }
}

/// A failure before it has the tool's name and verb.
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
pub fn schema(tool: Tool, documents: impl FnOnce(&mut SchemaGenerator) -> Vec<Schema>) -> Value {
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
