//! What a check is, and the list that they fill.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// A node runs without it, with less.
    Poor,
    /// No node runs without it.
    Missing,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Check {
    /// What was looked at; from the table in the README.
    pub name: String,
    /// How it ended.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// The docker flag, or the command, that cures it; empty where there is nothing to cure.
    pub cure: String,
}

/// All checks, and with `--run-flags` what `docker run` has to be told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Examination {
    /// In the order in which a start would meet them.
    pub checks: Vec<Check>,
    /// With `--run-flags`: sets of flags that each make a node, `privileged` and then `reduced`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_flags: Option<Vec<Alternative>>,
    /// With `--run-flags`: the seccomp profile of the reduced set, to be written to the file that its flags name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seccomp_profile: Option<Value>,
}

/// One way to start a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Alternative {
    /// `privileged` or `reduced`.
    pub name: String,
    /// Words for `docker run`, one flag or value each.
    pub flags: Vec<String>,
    /// Whether it works on this machine; null where that cannot be told, from inside a container.
    pub works: Option<bool>,
    /// The reason of `works`.
    pub why: String,
    /// What has to be there, in words.
    pub needs: Vec<String>,
}

/// The list while it grows.
#[derive(Debug, Default)]
pub(super) struct Checks(Vec<Check>);

impl Checks {
    pub(super) fn ok(&mut self, name: &str, found: impl Into<String>) {
        self.push(name, Verdict::Ok, found.into(), "");
    }

    pub(super) fn poor(&mut self, name: &str, found: impl Into<String>, cure: &str) {
        self.push(name, Verdict::Poor, found.into(), cure);
    }

    pub(super) fn missing(&mut self, name: &str, found: impl Into<String>, cure: &str) {
        self.push(name, Verdict::Missing, found.into(), cure);
    }

    pub(super) fn push(&mut self, name: &str, verdict: Verdict, found: String, cure: &str) {
        self.0.push(Check { name: name.to_owned(), verdict, found, cure: cure.to_owned() });
    }

    pub(super) fn examination(self) -> Examination {
        Examination { checks: self.0, ..Examination::default() }
    }
}

#[cfg(test)]
impl Checks {
    /// The verdict and the cure of one check.
    pub(super) fn told(&self, name: &str) -> (Verdict, &str) {
        let check = self.0.iter().find(|check| check.name == name);
        let check = check.unwrap_or_else(|| panic!("there is no check `{name}`: {self:?}"));
        (check.verdict, &check.cure)
    }
}
