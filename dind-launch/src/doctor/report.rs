//! What a check is, and the document that they fill.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// A node runs without it, but some things do not work.
    Degraded,
    /// A node cannot run without it.
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
    /// The docker flag or the command that fixes it; empty where nothing is wrong.
    pub hint: String,
}

/// All checks, and with `--run-flags` the flags for `docker run`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Examination {
    /// In the order in which a start would meet them.
    pub checks: Vec<Check>,
    /// What the node cannot do: inner containers in a user namespace, and an engine with nftables.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub limitations: Vec<Limitation>,
    /// With `--run-flags`: ways to start a node, the safest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_flags: Option<Vec<Alternative>>,
    /// With `--run-flags`: the seccomp profile of `userns` and `reduced`, to be written to the file that its flags name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seccomp_profile: Option<Value>,
}

impl Examination {
    /// Whether anything is missing without which a node cannot run.
    #[must_use]
    pub fn is_any_missing(&self) -> bool {
        self.checks.iter().any(|check| check.verdict == Verdict::Missing)
    }
}

/// What a node cannot do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Limitation {
    /// A command in the node.
    pub command: String,
    /// A part of its error.
    pub error: String,
    /// What helps.
    pub instead: String,
    /// With what it fails, where it does not with every version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<String>,
}

/// One way to start a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Alternative {
    /// `userns`, `rootless`, `reduced` or `privileged`.
    pub name: String,
    /// Words for `docker run` or `podman run`, one flag or value each; none for Kubernetes.
    pub flags: Vec<String>,
    /// Whether it works on this machine as it is set up now; null where it is not known, as inside a container.
    pub works: Option<bool>,
    /// The reason of `works`.
    pub why: String,
    /// Whether this machine can have it, once it has what `needs` lists; null where it is not known.
    pub possible: Option<bool>,
    /// What it protects.
    pub gives: String,
    /// What does not work with it, or changes.
    pub costs: Vec<String>,
    /// What it requires, in words.
    pub needs: Vec<String>,
    /// What the daemon.json of the machine's engine has to have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub daemon_json: Option<Value>,
    /// For Kubernetes: a pod and what belongs to it, as YAML.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
}

/// How hints name the flag that gives everything, before the one that gives what is missing.
const PRIVILEGED: &str = "--privileged, or ";

/// The checks while they are made.
#[derive(Debug, Default)]
pub(super) struct Checks(Vec<Check>);

impl Checks {
    /// Takes `--privileged` out of all hints: an engine that maps users refuses it, or the mapping would be for nothing.
    pub(super) fn without_privileged(&mut self) {
        for check in &mut self.0 {
            if let Some(rest) = check.hint.strip_prefix(PRIVILEGED) {
                check.hint = rest.to_owned();
            }
        }
    }

    pub(super) fn ok(&mut self, name: &str, found: impl Into<String>) {
        self.push(name, Verdict::Ok, found.into(), "");
    }

    pub(super) fn degraded(&mut self, name: &str, found: impl Into<String>, hint: &str) {
        self.push(name, Verdict::Degraded, found.into(), hint);
    }

    pub(super) fn missing(&mut self, name: &str, found: impl Into<String>, hint: &str) {
        self.push(name, Verdict::Missing, found.into(), hint);
    }

    pub(super) fn push(&mut self, name: &str, verdict: Verdict, found: String, hint: &str) {
        self.0.push(Check { name: name.to_owned(), verdict, found, hint: hint.to_owned() });
    }

    pub(super) fn examination(self) -> Examination {
        Examination { checks: self.0, ..Examination::default() }
    }
}

#[cfg(test)]
impl Checks {
    /// The verdict and the hint of one check.
    pub(super) fn outcome(&self, name: &str) -> (Verdict, &str) {
        let check = self.0.iter().find(|check| check.name == name);
        let check = check.unwrap_or_else(|| panic!("there is no check `{name}`: {self:?}"));
        (check.verdict, &check.hint)
    }
}
