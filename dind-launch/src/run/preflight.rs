//! Everything that can be wrong is looked for here, before anything changes.

use super::main_process;
use super::restart_policy::Attempts;
use super::state::RunState;
use crate::cli::RunOptions;
use crate::doctor;
use crate::engine::networks::Links;
use crate::engine::{Programs, Settings, config, preload};
use crate::mesos;
use crate::options::Options;
use crate::paths::{LOG_FILE, SOCKET};
use crate::process::broken;
use crate::process::log::EngineLog;
use crate::process::sibling::Tools;
use crate::status::record::RecordWriter;
use dind_contract::Fault;
use dind_system::Root;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Reads and finds everything that the node needs; changes nothing but the record.
pub(super) fn preflight(
    begun: Instant,
    text: &RunOptions,
    command: &[String],
) -> Result<(RunState, EngineLog), Fault> {
    let options = Options::read(text)?;
    let tools = Tools::find(options.tools.as_deref())?;
    let programs = Programs::find()?;
    let user_config = config::of_user(&options.daemon_args)?;
    let command = main_process::choose(command)?;
    options.preload.as_deref().map(preload::archives).transpose()?;
    doctor::refuse(&Root::default(), &doctor::StorageArgs::of_environment())?;
    let writer = RecordWriter::claim(begun, &command, Path::new(SOCKET))?;
    let log = EngineLog::open(options.log_to_file).map_err(|error| broken("open", LOG_FILE, &error))?;
    let state = RunState {
        agent: mesos::Facts::of(&Root::default(), &command, options.mesos_defaults),
        options,
        tools,
        programs,
        user_config,
        writer,
        data_root: PathBuf::new(),
        links: Links::now(&Root::default()),
        settings: Settings::default(),
        containerd: None,
        dockerd: None,
        engine_ready: false,
        attempts: Attempts::default(),
        preload: None,
        storage_applied: false,
        net_applied: false,
    };
    Ok((state, log))
}

/// Whether the user says something of it.
pub(super) fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|text| !text.is_empty())
}

/// What dind-net is told of forwarding: to switch it on, where dockerd would. Beside the storage it takes no time; dockerd
/// would wait for it.
pub(crate) fn forwarding(
    user: &Map<String, Value>,
    options: &Options,
) -> &'static [(&'static str, &'static str)] {
    let asked = !is_set("DIND_NET_FORWARD") && config::forwards(user, &options.daemon_args);
    if asked { &[("DIND_NET_FORWARD", "true")] } else { &[] }
}
