//! Errors: a stable code, an exit status, one sentence, and a hint.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// Exit statuses, the same in all tools (BSD `sysexits.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCode {
    /// 69: the Docker Engine does not answer.
    Unavailable = 69,
    /// 73: a file, a device or a link could not be created.
    CannotCreate = 73,
    /// 74: a read, a write or a kernel call failed.
    Io = 74,
    /// 75: in use by another process; try again.
    InUse = 75,
    /// 77: a capability or a device is missing.
    Privilege = 77,
    /// 78: a flag, a variable or the machine's set-up is wrong.
    Config = 78,
}

impl ExitCode {
    /// All of them, in order.
    pub const ALL: [Self; 6] =
        [Self::Unavailable, Self::CannotCreate, Self::Io, Self::InUse, Self::Privilege, Self::Config];

    /// What it means, for people.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Unavailable => "the Docker Engine, or the node, is not available",
            Self::CannotCreate => "a file, a device or a link cannot be created",
            Self::Io => "a read, a write or a call of the kernel failed",
            Self::InUse => "in use by another process: try again later",
            Self::Privilege => "a privilege, a capability or a device is missing",
            Self::Config => "a flag, a variable or the machine's set-up is wrong",
        }
    }

    /// The meaning of a tool's exit status.
    #[must_use]
    pub fn from_status(status: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|code| *code as u8 == status)
    }
}

/// The machine-readable name of an error, tied to its exit status. Codes are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// Kebab-case, unique within the tool.
    pub name: &'static str,
    /// The tool's exit status.
    pub exit: ExitCode,
}

impl Code {
    /// A code; meant for constants.
    #[must_use]
    pub const fn new(name: &'static str, exit: ExitCode) -> Self {
        Self { name, exit }
    }

    /// `WHAT FAILED: CAUSE`.
    #[must_use]
    pub fn failed(self, what: impl fmt::Display, cause: impl fmt::Display) -> Fault {
        let message = format!("{what}: {cause}");
        Fault { code: self, message, causes: Vec::new(), hint: String::new(), details: None }
    }

    /// ``cannot VERB `OBJECT`: CAUSE``, where the object is a path, a name or a number.
    #[must_use]
    pub fn cannot(self, verb: &str, object: impl fmt::Display, cause: impl fmt::Display) -> Fault {
        self.failed(format_args!("cannot {verb} `{object}`"), cause)
    }

    /// ``invalid NAME value `VALUE`: CAUSE``, for what a user has set.
    #[must_use]
    pub fn invalid(self, name: &str, value: impl fmt::Display, cause: impl fmt::Display) -> Fault {
        self.failed(format_args!("invalid {name} value `{value}`"), cause)
    }
}

/// Why a tool did not do its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Name and exit status.
    pub code: Code,
    /// One sentence: `WHAT FAILED: CAUSE`.
    pub message: String,
    /// What lies behind it, from near to far.
    pub causes: Vec<String>,
    /// What the reader can do about it, as a command or a flag where there is one.
    pub hint: String,
    /// The causes once more, for programs; nothing where the sentences say it all.
    pub details: Option<Box<Value>>,
}

impl Fault {
    /// Sets the hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// Adds something that lies behind the error.
    #[must_use]
    pub fn cause(mut self, cause: impl fmt::Display) -> Self {
        self.causes.push(cause.to_string());
        self
    }

    /// Sets what programs can read of the causes.
    #[must_use]
    pub fn details(mut self, details: &impl Serialize) -> Self {
        self.details = serde_json::to_value(details).ok().map(Box::new);
        self
    }

    /// The error object of the JSON document.
    #[must_use]
    pub fn object(&self) -> ErrorObject {
        ErrorObject {
            code: self.code.name.to_owned(),
            message: self.message.clone(),
            causes: self.causes.clone(),
            hint: self.hint.clone(),
            details: self.details.clone(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

/// `error` in a document whose `ok` is false.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorObject {
    /// Kebab-case, from the table in the tool's README.
    pub code: String,
    /// One sentence for people.
    pub message: String,
    /// What lies behind it, from near to far.
    #[serde(default)]
    pub causes: Vec<String>,
    /// What the reader can do about it.
    #[serde(default)]
    pub hint: String,
    /// The causes once more, for programs; only where the README says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Box<Value>>,
}
