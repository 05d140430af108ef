//! `plan`: what `run` would do. Changes nothing.

use crate::cli::Plan;
use crate::engine::{config, cut_off, dockerd, hairpin};
use crate::fault;
use crate::mesos::{self, Agent};
use crate::options::{LogTo, Options};
use crate::paths::LOG_FILE;
use crate::prepare;
use crate::process::sibling::{self, Document};
use crate::process::{Node, StopReason};
use crate::rootless::{self, Mode};
use crate::run::command_form::Form;
use crate::run::preflight::{Inputs, tool_variables, wanted};
use crate::run::stages;
use crate::stage::Stage;
use crate::variables;
use crate::{TOOL, tls};
use dind_contract::{Draft, Engine, Fault, Outcome, StepState, Steps};
use dind_system::Root;
use nix::sys::signal::Signal;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What `run` would do.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct RunPlan {
    /// The main process; empty where the engine is the service.
    pub command: Vec<String>,
    /// The programs that would be run, by name.
    pub programs: BTreeMap<String, PathBuf>,
    /// Sockets of dockerd beside its usual one.
    pub hosts: Vec<String>,
    /// More words for dockerd, after our own.
    pub daemon_args: Vec<String>,
    /// Image archives that would be loaded, in order.
    pub preload: Vec<PathBuf>,
    /// Where the engine's log would go: a file, or `stderr`.
    pub log: String,
    /// The directory for evidence.
    pub evidence: Option<PathBuf>,
    /// The share of the disk, in percent, above which unused images and build cache would go; nothing: they stay.
    pub reclaim_percent: Option<u8>,
    /// How long the engine may take to answer, in milliseconds.
    pub ready_timeout_ms: u64,
    /// Whether an engine that dies would be started again: `no`, `on-failure`, `on-failure:N`.
    pub engine_restart: String,
    /// How long the whole stop may take, in milliseconds.
    pub stop_budget_ms: u64,
    /// The number of the signal that would ask the main process to stop, 10 (USR1) for a Mesos agent; nothing: the same one that
    /// asks the node.
    pub main_stop_signal: Option<i32>,
    /// The variables that a Mesos agent would get; nothing for other main processes.
    pub mesos: Option<Agent>,
    /// The plans of the sibling tools, and that of `prepare`.
    pub documents: BTreeMap<String, Document>,
}

/// Plans a run; `engine.config` is the merged `daemon.json`.
///
/// # Errors
/// What would make `run` fail: wrong settings, missing programs, a sibling tool whose own plan fails.
pub fn plan(args: &Plan) -> Outcome<RunPlan> {
    let Plan { options: text, command, .. } = args;
    let machine = Root::at(&args.machine.root);
    if let Some(words) = Form::of(&machine, command).printing(&machine)? {
        let mut steps = Steps::default();
        steps.push("become-program", words.join(" "), StepState::Planned);
        let result = RunPlan { command: words, ..RunPlan::default() };
        return Ok(Draft { result, steps, ..Draft::default() });
    }
    let Inputs { options, tools, programs, user, listen, command, archives } =
        Inputs::read(&machine, text, command)?;
    let named = [
        ("containerd", programs.containerd),
        ("dockerd", programs.dockerd),
        ("dind-net", tools.net.clone()),
        ("dind-reaper", tools.reaper.clone()),
        ("dind-storage", tools.storage.clone()),
    ];
    let settings = RunPlan {
        command: command.clone(),
        programs: named
            .into_iter()
            .map(|(name, path)| (name.to_owned(), path))
            .chain(options.stages.iter().map(|stage| (stage.name.clone(), stage.path.clone())))
            .collect(),
        daemon_args: options.daemon_args.words.clone(),
        preload: archives,
        log: if options.log == LogTo::Stderr { "stderr".to_owned() } else { LOG_FILE.to_owned() },
        evidence: options.evidence.as_ref().map(|(directory, _)| directory.clone()),
        reclaim_percent: options.reclaim,
        ready_timeout_ms: options.ready_timeout.as_millis() as u64,
        engine_restart: options.engine_restart.to_string(),
        stop_budget_ms: options.stop_budget.as_millis() as u64,
        ..RunPlan::default()
    };
    if options.userns == Mode::Unshare && !rootless::is_inside(&machine) {
        // What comes after these steps is planned where it is done: in the node.
        let steps = rootless::plan(&machine, |name| std::env::var(name).ok())?;
        return Ok(Draft { result: settings, steps, ..Draft::default() });
    }
    let root = root_text(&args.machine.root)?;
    let mut node = Node::without_engine()?;
    let variables = tool_variables(&user, &options);
    let [storage, net] =
        sibling::plans(&mut node, &tools, root, &variables).map_err(StopReason::into_fault)?;

    let planned = stages::plans(&mut node, &options.stages, root).map_err(StopReason::into_fault)?;
    let mut fragments = vec![&storage.engine, &net.engine];
    fragments.extend(planned.iter().map(|plan| &plan.engine));
    stages::agree(&fragments, &options.stages)?;
    fragments.push(&listen.engine);
    let mut merged = config::merge(&fragments, &user, &options.daemon_args)?;
    if machine.is_host() {
        dockerd::place_key(&mut merged.config);
    }
    let path_prepend = fragments.iter().flat_map(|fragment| fragment.path_prepend.clone()).collect();
    let mut warnings =
        variables::unknown(std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()));
    warnings.extend(merged.warnings);
    warnings.extend(config::seed_not_used(&storage.result, &merged.config, &options.daemon_args));
    warnings.extend(config::storage_options_unread(&merged.config, &options.daemon_args));
    warnings.extend(listen.warnings);
    warnings.extend(hairpin::warning(&machine, &merged.config, &options.daemon_args));
    warnings.extend(cut_off::warning(&machine, &merged.config, &options.daemon_args));
    warnings
        .extend([&storage, &net].into_iter().chain(&planned).flat_map(|document| document.warnings.clone()));
    let wanted = wanted(&user, &options);
    let prepare = prepare::document(prepare::plan(&machine, &wanted)?, "plan");
    warnings.extend(prepare.warnings.clone());
    let tls = tls_document(&machine, &options)?;
    warnings.extend(tls.iter().flat_map(|document| document.warnings.clone()));
    let mut agent = None;
    if let Some(facts) = mesos::Facts::of(&machine, &command, options.mesos_defaults) {
        let (variables, found) = facts.agent(&storage, |name| std::env::var(name).ok());
        warnings.extend(found);
        agent = Some(variables);
    }
    let is_agent = mesos::is_agent(&command);
    let main_stop_signal = options.main_stop_signal.or(is_agent.then_some(Signal::SIGUSR1 as i32));
    let mut steps = Steps::default();
    for stage in Stage::of_start(&options, &command) {
        steps.push(stage.name(), "node", StepState::Planned);
    }
    let documents =
        [("prepare", Some(prepare)), ("storage", Some(storage)), ("net", Some(net)), ("tls", tls)];
    let documents = documents.into_iter().filter_map(|(name, plan)| Some((name.to_owned(), plan?)));
    let theirs = options.stages.iter().map(|stage| stage.name.clone()).zip(planned);
    let documents = documents.chain(theirs).collect();
    let result = RunPlan { main_stop_signal, mesos: agent, documents, hosts: listen.hosts, ..settings };
    Ok(Draft { result, engine: Engine { config: merged.config, path_prepend }, steps, warnings })
}

/// What would become of the certificates, where TLS is asked for.
fn tls_document(machine: &Root, options: &Options) -> Result<Option<Document>, Fault> {
    if options.tls.directory.is_none() {
        return Ok(None);
    }
    let Draft { result, engine, steps, warnings } =
        tls::plan(machine, &options.tls).map_err(|failed| *failed.fault)?;
    let result = serde_json::to_value(result).unwrap_or_default();
    Ok(Some(Draft { result, engine, steps, warnings }.report(TOOL, "plan")))
}

/// The directory of the captured machine, as an argument for the sibling tools.
fn root_text(root: &Path) -> Result<&str, Fault> {
    root.to_str().ok_or_else(|| {
        fault::ROOT_IS_FAKE
            .cannot("read facts below", root.display(), "the path is not UTF-8")
            .hint("rename the directory")
    })
}
