//! A Mesos agent as the main process. By itself it would get things wrong, because it looks at the machine and not at its
//! container: `address` and `container_id` are facts, `variables` what follows from them, `pair` checks whether agent and engine fit.

pub mod address;
mod container_id;
mod pair;
mod variables;

use crate::paths::SOCKET;
use crate::process::sibling::Document;
use crate::usage::Limits;
use dind_contract::Warning;
use dind_system::Root;
use dind_system::proc::{self, Mount};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

pub use pair::Pair;

/// The agent's program; `mesos-slave` is its name before Mesos 1.0. In the order in which they are looked for.
pub const AGENTS: &[&str] = &["mesos-agent", "mesos-slave"];

/// Whether a command is a Mesos agent, by the base name of its program.
#[must_use]
pub fn is_agent(command: &[String]) -> bool {
    let name = command.first().and_then(|program| Path::new(program).file_name());
    name.is_some_and(|name| AGENTS.iter().any(|agent| name == *agent))
}

/// The variables that the agent gets beside those that the user has set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Agent {
    /// The variables that were unset, with our values. Flags of the agent's own command line win over them.
    pub defaults: BTreeMap<String, String>,
    /// The variables of these that the user has set.
    pub kept: Vec<String>,
}

/// What the defaults follow from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The container's own limits.
    pub limits: Limits,
    /// What distinguishes this container from all others that may see the same cgroups.
    pub identity: String,
    /// Whether the default work directory outlives the container's own layer.
    pub work_dir_on_volume: bool,
    /// The address that the agent will register with, where it is known.
    pub address: Option<String>,
}

impl Facts {
    /// Reads the container, where the main process is an agent and its defaults are wanted.
    #[must_use]
    pub fn of(root: &Root, command: &[String], wanted: bool) -> Option<Self> {
        (wanted && is_agent(command)).then(|| Self::read(root))
    }

    fn read(root: &Root) -> Self {
        let groups = proc::cgroups(root).unwrap_or_default();
        let mounts = proc::mounts(root).unwrap_or_default();
        let hostname = root.read("/proc/sys/kernel/hostname").unwrap_or_default();
        Self {
            limits: Limits::read(root, &groups, &mounts),
            identity: container_id::container_id(&groups, &mounts)
                .unwrap_or_else(|| hostname.trim().to_owned()),
            work_dir_on_volume: on_volume(&mounts, variables::WORK_DIR),
            address: address::own(root),
        }
    }

    /// Lets an agent whose container has another address now become a new one. Returns a warning where it did.
    ///
    /// # Errors
    /// The work directory cannot be written.
    pub fn reconcile(
        &self,
        agent: &Agent,
        user: impl Fn(&str) -> Option<String>,
    ) -> io::Result<Option<Warning>> {
        const WORK_DIR: &str = "MESOS_WORK_DIR";
        let directory = agent.defaults.get(WORK_DIR).cloned().or_else(|| user(WORK_DIR));
        let (Some(directory), Some(address)) = (directory, &self.address) else { return Ok(None) };
        let before = address::reconcile(Path::new(&directory), address)?;
        Ok(before.map(|before| {
            let message = format!(
                "the Mesos agent registers as a new one: its address was {before} and is now {address}"
            );
            Warning::new("mesos-agent-renewed", message, "give the container a fixed address with --ip")
        }))
    }

    /// The agent's variables: ours where `user` has none. An empty one counts as unset. The size of the disk is in the plan of
    /// `dind-storage`.
    #[must_use]
    pub fn agent(&self, storage: &Document, user: impl Fn(&str) -> Option<String>) -> (Agent, Vec<Warning>) {
        let is_set = |name: &str| user(name).is_some_and(|value| !value.trim().is_empty());
        let (mut agent, mut warnings) = (Agent::default(), Vec::new());
        for variables::Variable { name, value, warnings: found } in
            variables::of_agent(self, disk(storage), SOCKET)
        {
            if is_set(name) {
                agent.kept.push(name.to_owned());
            } else {
                agent.defaults.insert(name.to_owned(), value);
                warnings.extend(found);
            }
        }
        (agent, warnings)
    }
}

/// A loop image limits the data by its size; otherwise the filesystem does. Free space would differ at each start, and Mesos refuses an agent that comes back with less than it had.
fn disk(storage: &Document) -> Option<u64> {
    let size = |pointer| storage.result.pointer(pointer).and_then(serde_json::Value::as_u64);
    size("/image/size_bytes").or_else(|| size("/space/total_bytes"))
}

/// Whether a directory lies in a mount of its own, and not in the container's root filesystem.
fn on_volume(mounts: &[Mount], directory: &str) -> bool {
    proc::mount_of(mounts, directory).is_some_and(|mount| mount.point != Path::new("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(result: serde_json::Value) -> Document {
        Document {
            schema: String::new(),
            ok: true,
            mode: String::new(),
            changed: false,
            result,
            engine: dind_contract::Engine::default(),
            steps: Vec::new(),
            warnings: Vec::new(),
        }
    }

    #[test]
    fn agents_by_their_base_name() {
        for (command, expected) in [
            (&["mesos-agent"][..], true),
            (&["/usr/sbin/mesos-slave", "--master=zk://a"], true),
            (&["mesos-agents"], false),
            (&["sh", "-c", "mesos-agent"], false),
            (&[], false),
        ] {
            let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(is_agent(&command), expected, "{command:?}");
        }
    }

    #[test]
    fn a_machine_that_cannot_be_read_has_no_limits() {
        let directory = tempfile::tempdir().unwrap();
        let command = ["mesos-agent".to_owned()];
        assert_eq!(Facts::of(&Root::at(directory.path()), &command, true), Some(Facts::default()));
        assert_eq!(Facts::of(&Root::at(directory.path()), &command, false), None);
    }

    #[test]
    fn only_what_is_unset_gets_a_default() {
        let facts = Facts { identity: "abc".to_owned(), ..Facts::default() };
        let user = |name: &str| match name {
            "MESOS_RESOURCES" => Some("cpus:4".to_owned()),
            "MESOS_CONTAINERIZERS" => Some(String::new()),
            _ => None,
        };
        let (agent, warnings) = facts.agent(&document(serde_json::Value::Null), user);
        assert_eq!(agent.kept, ["MESOS_RESOURCES"]);
        assert!(!agent.defaults.contains_key("MESOS_RESOURCES"));
        assert_eq!(agent.defaults["MESOS_CONTAINERIZERS"], "docker,mesos");
        // The user has set the resources, so missing limits are not worth a warning.
        let codes: Vec<_> = warnings.iter().map(|warning| warning.code.as_str()).collect();
        assert_eq!(codes, ["mesos-work-dir-in-layer"]);
    }

    #[test]
    fn the_disk_is_the_image_or_the_filesystem() {
        let space = serde_json::json!({"total_bytes": 9});
        assert_eq!(disk(&document(serde_json::json!({"image": {"size_bytes": 5}, "space": space}))), Some(5));
        assert_eq!(disk(&document(serde_json::json!({"image": null, "space": space}))), Some(9));
        assert_eq!(disk(&document(serde_json::json!({}))), None);
    }
}
