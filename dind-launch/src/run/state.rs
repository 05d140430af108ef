//! The state of a run: what it was asked for, what has been done, and what must be undone.

use super::restart_policy::Attempts;
use crate::engine::networks::Links;
use crate::engine::{self, Daemon, DaemonKind, Programs, Settings, stale};
use crate::mesos;
use crate::options::Options;
use crate::process::Node;
use crate::process::sibling::{ToolProcess, Tools};
use crate::status::record::{NodeState, RecordWriter};
use dind_contract::{Fault, Warning};
use serde_json::{Map, Value};
use std::path::PathBuf;

/// The state of a run: what it was asked for, what has been done, and what must be undone.
#[derive(Debug)]
pub struct RunState {
    /// How the node is run.
    pub options: Options,
    /// The sibling tools.
    pub tools: Tools,
    /// The engine's programs.
    pub programs: Programs,
    /// The user's own `daemon.json`.
    pub user_config: Map<String, Value>,
    /// The record.
    pub writer: RecordWriter,
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
    pub preload: Option<ToolProcess>,
    /// Whether storage has to be released.
    pub storage_applied: bool,
    /// Whether the network has to be released.
    pub net_applied: bool,
}

impl RunState {
    /// Starts one of the engine's daemons.
    ///
    /// # Errors
    /// Those of [`engine::start_containerd`] and [`engine::start_dockerd`].
    pub fn start(&mut self, node: &mut Node, kind: DaemonKind) -> Result<(), Fault> {
        stale::remove_stale_sockets(kind);
        let daemon = match kind {
            DaemonKind::Containerd => engine::start_containerd(node, &self.programs, &self.data_root)?,
            DaemonKind::Dockerd => engine::start_dockerd(node, &self.programs, &self.settings)?,
        };
        self.writer.started(kind, daemon.pid);
        *self.daemon(kind) = Some(daemon);
        Ok(())
    }

    /// One of the engine's daemons, if it has been started and not stopped.
    pub fn daemon(&mut self, kind: DaemonKind) -> &mut Option<Daemon> {
        match kind {
            DaemonKind::Containerd => &mut self.containerd,
            DaemonKind::Dockerd => &mut self.dockerd,
        }
    }

    /// Notes what has become of the image archives, once they are loaded. An archive that does not load is no reason to
    /// stop a main process that has not waited for it.
    pub fn collect_preload(&mut self, node: &Node) {
        let Some(tool) = self.preload.take_if(|tool| tool.is_over(node)) else { return };
        match tool.document(node) {
            Ok(document) => self.writer.keep("preload", document),
            Err(fault) => {
                let warning = Warning::new("preload-failed", fault.to_string(), fault.hint.clone());
                self.writer.record.warnings.push(warning);
            }
        }
        self.writer.enter(NodeState::Running);
    }

    /// The daemon that has exited unexpectedly, if one has.
    #[must_use]
    pub fn dead_daemon(&self, node: &Node) -> Option<DaemonKind> {
        let ended = |daemon: &Option<Daemon>| {
            daemon.as_ref().is_some_and(|daemon| node.exit_status(daemon.pid).is_some())
        };
        // containerd first: dockerd cannot start without it.
        [(DaemonKind::Containerd, &self.containerd), (DaemonKind::Dockerd, &self.dockerd)]
            .into_iter()
            .find_map(|(kind, daemon)| ended(daemon).then_some(kind))
    }
}
