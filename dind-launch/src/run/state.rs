//! The state of a run: what it was asked for, what has been done, and what must be undone.

use super::network_lock::NetworkLock;
use crate::claim::{Claimant, Listener};
use crate::engine::daemon::{Daemon, DaemonKind, Programs};
use crate::engine::dockerd::{self, Settings};
use crate::engine::stale_networks::Links;
use crate::engine::user_settings::UserSettings;
use crate::engine::{containerd, stale};
use crate::mesos;
use crate::options::Options;
use crate::process::Node;
use crate::process::sibling::{self, Tools};
use crate::process::tool::ToolProcess;
use crate::restart_policy::Attempts;
use crate::stages::StageProgram;
use crate::status::record::NodeState;
use crate::status::record_writer::RecordWriter;
use crate::tls::listen::Listen;
use dind_contract::{Fault, Warning};
use std::fs::File;
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
    /// What the user has set for the engine.
    pub user: UserSettings,
    /// What dockerd listens on.
    pub listen: Listen,
    /// Holds the record, and writes it.
    pub writer: RecordWriter,
    /// The container's limits, where the main process is a Mesos agent. Read before the first stage: the stages change how cgroups
    /// look.
    pub mesos_facts: Option<mesos::Facts>,
    /// Where the engine's data lies, once storage is ready.
    pub data_root: PathBuf,
    /// The lock on the data root, where it is used as it is.
    pub data_root_lock: Option<File>,
    /// The network interfaces before anything was changed.
    pub original_links: Links,
    /// What dockerd is started with, once the network is ready.
    pub dockerd_settings: Settings,
    /// containerd, from its start until its stop.
    pub containerd: Option<Daemon>,
    /// dockerd, from its start until its stop.
    pub dockerd: Option<Daemon>,
    /// Restarts of the engine in a row.
    pub restart_attempts: Attempts,
    /// Where the node can be claimed, until it is.
    pub claims: Option<Listener>,
    /// Whoever has claimed it, and waits for the end of the main process.
    pub claimant: Option<Claimant>,
    /// `dind-launch preload`, while it runs beside the main process.
    pub preload_process: Option<ToolProcess>,
    /// `dind-launch tls apply`, until dockerd needs the certificates.
    pub tls_process: Option<ToolProcess>,
    /// `dind-reaper evidence`, while it runs.
    pub evidence: Option<ToolProcess>,
    /// `dind-reaper reclaim`, while it waits for the disk to fill, or reclaims.
    pub reclaim: Option<ToolProcess>,
    /// `dind-net probe`, until its answer is needed.
    pub range_probes: Vec<ToolProcess>,
    /// Keeps other nodes out of the network namespace.
    pub network_lock: Option<NetworkLock>,
    /// Whether storage has to be released.
    pub storage_applied: bool,
    /// Whether the network has to be released.
    pub net_applied: bool,
    /// The user's own stages that have to be released, in the order of their start.
    pub applied_stages: Vec<StageProgram>,
}

impl RunState {
    /// Starts one of the engine's daemons.
    ///
    /// # Errors
    /// Those of [`containerd::start`] and [`dockerd::start`].
    pub fn start_daemon(&mut self, node: &mut Node, kind: DaemonKind) -> Result<(), Fault> {
        stale::remove_stale_sockets(kind, &self.user.pid_file);
        let daemon = match kind {
            DaemonKind::Containerd => containerd::start(node, &self.programs, &self.data_root)?,
            DaemonKind::Dockerd => {
                dockerd::start(node, &self.programs, &self.dockerd_settings, &self.data_root)?
            }
        };
        self.writer.started(kind, daemon.child.pid());
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

    /// Notes the outcome of [`RunState::preload_process`] in the record, once it has finished. The main process has not waited for
    /// the archives, so one that does not load is a warning.
    pub fn collect_preload(&mut self, node: &Node) {
        let Some(tool) = self.preload_process.take_if(|tool| tool.is_finished(node)) else { return };
        match sibling::document(node, &tool) {
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
        let has_exited = |daemon: &Option<Daemon>| {
            daemon.as_ref().is_some_and(|daemon| node.exit_status(daemon.child).is_some())
        };
        // containerd first: dockerd cannot start without it.
        [(DaemonKind::Containerd, &self.containerd), (DaemonKind::Dockerd, &self.dockerd)]
            .into_iter()
            .find_map(|(kind, daemon)| has_exited(daemon).then_some(kind))
    }
}
