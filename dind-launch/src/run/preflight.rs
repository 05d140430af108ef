//! Finds everything that can be wrong before anything changes.

use super::main_process;
use super::state::RunState;
use crate::cli::RunOptions;
use crate::doctor;
use crate::engine::daemon::Programs;
use crate::engine::dockerd::Settings;
use crate::engine::stale_networks::Links;
use crate::engine::{config, preload};
use crate::mesos;
use crate::options::Options;
use crate::paths::LOG_FILE;
use crate::process::init_failed;
use crate::process::log::EngineLog;
use crate::process::sibling::Tools;
use crate::restart_policy::Attempts;
use crate::status::record::RecordWriter;
use dind_contract::Fault;
use dind_system::Root;
use serde_json::{Map, Value};
use std::path::PathBuf;
use std::time::Instant;

/// What a run is made of, as far as it is known before anything changes. `plan` prints it.
#[derive(Debug)]
pub(crate) struct Inputs {
    /// How the node is run.
    pub(crate) options: Options,
    /// The sibling tools.
    pub(crate) tools: Tools,
    /// The engine's programs.
    pub(crate) programs: Programs,
    /// The user's own `daemon.json`.
    pub(crate) user_config: Map<String, Value>,
    /// The main process; empty where the engine is the service.
    pub(crate) command: Vec<String>,
    /// The image archives to load, in order.
    pub(crate) archives: Vec<PathBuf>,
}

impl Inputs {
    /// Reads options and files, and finds all programs.
    ///
    /// # Errors
    /// The first fault that is found.
    pub(crate) fn read(text: &RunOptions, command: &[String]) -> Result<Self, Fault> {
        let options = Options::read(text)?;
        let tools = Tools::find(options.tools.as_deref())?;
        let programs = Programs::find()?;
        let user_config = config::of_user(&options.daemon_args)?;
        let command = main_process::choose(command)?;
        let archives = options.preload.as_deref().map(preload::archives).transpose()?.unwrap_or_default();
        Ok(Self { options, tools, programs, user_config, command, archives })
    }
}

/// Reads the inputs, checks the container, and claims the record. Changes nothing else.
///
/// # Errors
/// The first fault that is found.
pub(super) fn preflight(
    begun: Instant,
    text: &RunOptions,
    command: &[String],
) -> Result<(RunState, EngineLog), Fault> {
    let Inputs { options, tools, programs, user_config, command, .. } = Inputs::read(text, command)?;
    doctor::refuse(&Root::default(), &doctor::StorageArgs::of_environment())?;
    let writer = RecordWriter::claim(begun, &command, &tools)?;
    let log = EngineLog::open(options.log_to_file)
        .map_err(|error| init_failed(format_args!("cannot open `{LOG_FILE}`"), &error))?;
    let state = RunState {
        mesos_facts: mesos::Facts::of(&Root::default(), &command, options.mesos_defaults),
        options,
        tools,
        programs,
        user_config,
        writer,
        data_root: PathBuf::new(),
        original_links: Links::read(&Root::default()),
        dockerd_settings: Settings::default(),
        containerd: None,
        dockerd: None,
        restart_attempts: Attempts::default(),
        preload_process: None,
        range_probe: None,
        network_lock: None,
        storage_applied: false,
        net_applied: false,
    };
    Ok((state, log))
}

/// Whether the user has set a variable; an empty one counts as unset.
pub(super) fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|text| !text.is_empty())
}

/// Whether the node has no bridge, and so may share its network.
pub(super) fn has_no_bridge(user: &Map<String, Value>) -> bool {
    std::env::var("DIND_NET_BRIDGE").is_ok_and(|name| name.trim() == "none")
        || user.get("bridge").is_some_and(|name| name == "none")
}

/// The variables for dind-net that make it switch forwarding on, where dockerd would. Beside the storage that takes no time;
/// dockerd would wait for it.
pub(crate) fn forwarding(
    user: &Map<String, Value>,
    options: &Options,
) -> &'static [(&'static str, &'static str)] {
    let wanted = !is_set("DIND_NET_FORWARD") && config::forwards(user, &options.daemon_args);
    if wanted { &[("DIND_NET_FORWARD", "true")] } else { &[] }
}
