//! What a document of `prepare` says beside its steps.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What was found and prepared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Prepared {
    /// `v1` (with or without a unified hierarchy beside it) or `v2`.
    pub cgroup_version: String,
    /// Whose cgroup namespace the engine will see: `private`, by the container's runtime; `own`, taken by us; `host`.
    pub cgroup_namespace: String,
    /// The hierarchies that can be used, by their directory's name; on v2 the delegated controllers.
    pub controllers: Vec<String>,
}
