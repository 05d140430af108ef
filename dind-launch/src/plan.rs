//! `plan`: what `run` would do, without doing it.

use crate::cli::RunOptions;
use crate::engine::{Programs, config, preload};
use crate::fault;
use crate::mesos::{self, Agent};
use crate::options::Options;
use crate::paths::LOG_FILE;
use crate::prepare;
use crate::process::log::EngineLog;
use crate::process::sibling::{Document, OnStopSignal, ToolProcess, Tools, documents};
use crate::process::{Node, StopReason, broken};
use crate::run::main_process;
use crate::run::preflight::forwarding;
use dind_contract::cli::Common;
use dind_contract::{Draft, Engine, Fault, Outcome, StepState, Steps};
use dind_system::Root;
use dind_system::supervisor::Supervisor;
use nix::sys::signal::Signal;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What `run` would do.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Overview {
    /// The main process; empty where the engine is the service.
    pub command: Vec<String>,
    /// The programs that would be run, by name.
    pub programs: BTreeMap<String, PathBuf>,
    /// More words for dockerd, after our own.
    pub daemon_args: Vec<String>,
    /// Image archives that would be loaded, in order.
    pub preload: Vec<PathBuf>,
    /// Where the engine's log would go.
    pub log: String,
    /// How long the engine may take to answer, in milliseconds.
    pub ready_timeout_ms: u64,
    /// What becomes of an engine that dies: `no`, `on-failure`, `on-failure:N`.
    pub engine_restart: String,
    /// How long the whole stop may take, in milliseconds.
    pub stop_budget_ms: u64,
    /// The number of the signal that asks the main process to stop, 10 (USR1) for a Mesos agent; nothing: the one that
    /// asks us.
    pub main_stop_signal: Option<i32>,
    /// What a Mesos agent would be told beside what the user tells it; nothing for other main processes.
    pub mesos: Option<Agent>,
    /// The plans of the sibling tools, and that of `prepare`.
    pub documents: BTreeMap<String, Document>,
}

/// Plans a run; `engine.config` is the merged `daemon.json`.
///
/// # Errors
/// What would keep `run` from starting: wrong settings, missing programs, a tool whose own plan fails.
pub fn plan(text: &RunOptions, command: &[String], common: &Common) -> Outcome<Overview> {
    let options = Options::read(text)?;
    let tools = Tools::find(options.tools.as_deref())?;
    let programs = Programs::find()?;
    let user = config::of_user(&options.daemon_args)?;
    let command = main_process::choose(command)?;
    let preload = options.preload.as_deref().map(preload::archives).transpose()?.unwrap_or_default();
    let [storage, net] = ask(&tools, common, forwarding(&user, &options)).map_err(StopReason::into_fault)?;

    let merged = config::merge(&[&storage.engine, &net.engine], &user, &options.daemon_args);
    let path_prepend =
        [&storage, &net].iter().flat_map(|document| document.engine.path_prepend.clone()).collect();
    let mut warnings = merged.warnings;
    warnings.extend([&storage, &net].iter().flat_map(|document| document.warnings.clone()));
    let root = Root::at(&common.root);
    let prepare = prepare::document(prepare::plan(&root)?, "plan");
    warnings.extend(prepare.warnings.clone());
    let mut agent = None;
    if let Some(facts) = mesos::Facts::of(&root, &command, options.mesos_defaults) {
        let (told, found) = facts.agent(&storage, |name| std::env::var(name).ok());
        warnings.extend(found);
        agent = Some(told);
    }
    let is_agent = mesos::is_agent(&command);
    let main_stop_signal = options.main_stop_signal.or(is_agent.then_some(Signal::SIGUSR1 as i32));
    let mut steps = Steps::default();
    for stage in stages(&options, &command) {
        steps.push(stage, "node", StepState::Planned);
    }
    let named = [
        ("containerd", programs.containerd),
        ("dockerd", programs.dockerd),
        ("dind-net", tools.net),
        ("dind-reaper", tools.reaper),
        ("dind-storage", tools.storage),
    ];
    let result = Overview {
        command,
        programs: named.into_iter().map(|(name, path)| (name.to_owned(), path)).collect(),
        daemon_args: options.daemon_args.words,
        preload,
        log: if options.log_to_file { LOG_FILE.to_owned() } else { "stderr".to_owned() },
        ready_timeout_ms: options.ready_timeout.as_millis() as u64,
        engine_restart: options.engine_restart.to_string(),
        stop_budget_ms: options.stop_budget.as_millis() as u64,
        main_stop_signal,
        mesos: agent,
        documents: [("prepare", prepare), ("storage", storage), ("net", net)]
            .map(|(name, plan)| (name.to_owned(), plan))
            .into(),
    };
    Ok(Draft { result, engine: Engine { config: merged.config, path_prepend }, steps, warnings })
}

/// The names under which `run` records its stages.
fn stages(options: &Options, command: &[String]) -> Vec<&'static str> {
    let mut stages = vec!["check", "prepare", "storage", "net", "engine"];
    if options.preload.is_some() {
        stages.push("preload");
    }
    if !command.is_empty() {
        stages.push("main");
    }
    stages
}

/// Lets both tools plan; `told` are variables of dind-net.
fn ask(tools: &Tools, common: &Common, told: &[(&str, &str)]) -> Result<[Document; 2], StopReason> {
    let root = common.root.to_str().ok_or_else(|| -> Fault {
        fault::ROOT_IS_FAKE
            .cannot("read facts below", common.root.display(), "its name is no UTF-8")
            .hint("rename it")
    })?;
    let supervisor = Supervisor::new().map_err(|error| broken("take over", "signals", &error))?;
    let log = EngineLog::open(false).map_err(|error| broken("open", "stderr", &error))?;
    let mut node = Node::new(supervisor, log);
    let storage = ToolProcess::plan(&mut node, &tools.storage, root, &[])?;
    let net = ToolProcess::plan(&mut node, &tools.net, root, told)?;
    documents(&mut node, [storage, net], OnStopSignal::Terminate)
}
