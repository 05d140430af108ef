//! What a node's life is about: what was wanted, and what has been done and must be undone.

use super::restart_policy::Attempts;
use crate::engine::networks::Links;
use crate::engine::{self, Daemon, Part, Programs, Settings, stale};
use crate::mesos;
use crate::options::Options;
use crate::process::Node;
use crate::process::sibling::{Call, Tools};
use crate::status::record::{Keeper, NodeState};
use dind_contract::{Fault, Warning};
use serde_json::{Map, Value};
use std::path::PathBuf;

/// What a node's life is about: what was wanted, and what has been done and must be undone.
#[derive(Debug)]
pub struct Life {
    /// How the node is run.
    pub options: Options,
    /// The sibling tools.
    pub tools: Tools,
    /// The engine's programs.
    pub programs: Programs,
    /// The user's own `daemon.json`.
    pub user_config: Map<String, Value>,
    /// The record.
    pub keeper: Keeper,
    /// What a Mesos agent has to know of its container. Read at the very start: the stages change how cgroups look.
    pub agent: Option<mesos::Facts>,
    /// Where the engine's data lies, once storage is ready.
    pub data_root: PathBuf,
    /// The network interfaces before anything was changed.
    pub links: Links,
    /// What dockerd is started with, once the network is ready.
    pub settings: Settings,
    /// containerd, from its start until its stop.
    pub containerd: Option<Daemon>,
    /// dockerd, from its start until its stop.
    pub dockerd: Option<Daemon>,
    /// Whether the engine has answered.
    pub engine_ready: bool,
    /// Restarts of the engine in a row.
    pub attempts: Attempts,
    /// The loading of image archives beside the main process.
    pub preload: Option<Call>,
    /// Whether storage has to be released.
    pub storage_applied: bool,
    /// Whether the network has to be released.
    pub net_applied: bool,
}

impl Life {
    /// Starts one of the engine's daemons.
    ///
    /// # Errors
    /// Those of [`engine::start_containerd`] and [`engine::start_dockerd`].
    pub fn start(&mut self, node: &mut Node, part: Part) -> Result<(), Fault> {
        stale::clean(part);
        let daemon = match part {
            Part::Containerd => engine::start_containerd(node, &self.programs, &self.data_root)?,
            Part::Dockerd => engine::start_dockerd(node, &self.programs, &self.settings)?,
        };
        self.keeper.started(part, daemon.pid);
        *self.daemon(part) = Some(daemon);
        Ok(())
    }

    /// One of the engine's daemons, if it has been started and not stopped.
    pub fn daemon(&mut self, part: Part) -> &mut Option<Daemon> {
        match part {
            Part::Containerd => &mut self.containerd,
            Part::Dockerd => &mut self.dockerd,
        }
    }

    /// Notes what has become of the image archives, once they are loaded. An archive that does not load is no reason to
    /// stop a main process that has not waited for it.
    pub fn settle_preload(&mut self, node: &Node) {
        let Some(call) = self.preload.take_if(|call| call.is_over(node)) else { return };
        match call.document(node) {
            Ok(document) => self.keeper.keep("preload", document),
            Err(fault) => {
                let warning = Warning::new("preload-failed", fault.to_string(), fault.hint.clone());
                self.keeper.record.warnings.push(warning);
            }
        }
        self.keeper.enter(NodeState::Running);
    }

    /// The daemon that has ended unasked, if one has.
    #[must_use]
    pub fn dead_daemon(&self, node: &Node) -> Option<Part> {
        let ended =
            |daemon: &Option<Daemon>| daemon.as_ref().is_some_and(|daemon| node.ending(daemon.pid).is_some());
        // containerd first: dockerd cannot start without it.
        [(Part::Containerd, &self.containerd), (Part::Dockerd, &self.dockerd)]
            .into_iter()
            .find_map(|(part, daemon)| ended(daemon).then_some(part))
    }
}
