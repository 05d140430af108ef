//! The life of a node, from the first signal mask to the last unmount.
//!
//! Signals first. Then everything that can be wrong is looked for, before anything changes. Then the container is
//! prepared, the data root and the network are made ready by the sibling tools, containerd and dockerd are started, image
//! archives are loaded, and the main process begins. When it ends, or a signal asks for it, or the engine dies, all of
//! this is stopped in order ([`shutdown`]).

pub mod main_process;
pub mod preflight;
pub mod restart_policy;
pub mod shutdown;
pub mod state;
pub mod supervise;

use crate::cli::RunOptions;
use crate::engine::{self, DaemonKind, Settings, config, networks, readiness, stale, version};
use crate::paths::SOCKET;
use crate::prepare::{self, Caller};
use crate::process::sibling::{OnStopSignal, ToolProcess, documents, wait_all};
use crate::process::{Node, StopReason, WaitOutcome, broken};
use crate::status::record::NodeState;
use crate::{TOOL, fault};
use dind_contract::finish::{log, log_warning};
use dind_contract::{Engine, Failed, Fault, Report};
use dind_system::Root;
use dind_system::supervisor::{ExitStatus, Supervisor};
use preflight::{forwarding, is_set, preflight};
use serde_json::Value;
use shutdown::stop;
use state::RunState;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use supervise::restart_daemon;

/// What everybody assumes who is told nothing.
const ETHERNET_MTU: u64 = 1500;

/// How long dockerd may take to say its version before the node goes on without it.
const VERSION_LIMIT: Duration = Duration::from_secs(20);

/// What the network's apply gets to end by itself when that of the storage has failed.
const GRACE: Duration = Duration::from_secs(1);

/// The status when the launcher or one of its stages failed, as with `docker run`.
pub const LAUNCHER_FAILED: u8 = 125;

/// Runs a node to its end and gives the status to exit with.
#[must_use]
pub fn run(text: &RunOptions, command: &[String]) -> u8 {
    let begun = Instant::now();
    let supervisor = match Supervisor::new() {
        Ok(supervisor) => supervisor,
        Err(error) => return report(&broken("take over", "signals", &error)),
    };
    match preflight(begun, text, command) {
        Ok((state, log)) => live(Node::new(supervisor, log), state),
        Err(fault) => report(&fault),
    }
}

fn live(mut node: Node, mut state: RunState) -> u8 {
    let reason = start(&mut node, &mut state).and_then(|()| supervise(&mut node, &mut state)).err();
    let signal = match &reason {
        Some(StopReason::Signal(number)) => Some(*number),
        _ => None,
    };
    let served = state.writer.record.state == NodeState::Running && node.main.is_none();
    let mut last = NodeState::Stopped;
    if let Some(StopReason::Fault(fault)) = &reason {
        report(fault);
        state.writer.record.error = Some(fault.object());
        last = NodeState::Failed;
    }
    state.writer.enter(NodeState::Stopping);
    let (main, faults) = stop(&mut node, &mut state, signal);
    let mut status = match (reason, main) {
        (Some(StopReason::Fault(fault)), _) => status_of(&fault),
        (_, Some(exit_status)) => exit_status.status(),
        (Some(StopReason::Signal(_)), None) if served => 0,
        (Some(StopReason::Signal(number)), None) => ExitStatus::Signaled(number).status(),
        (None, None) => LAUNCHER_FAILED,
    };
    for fault in &faults {
        let failed = report(fault);
        // The main process' own failure says more than ours.
        status = if status == 0 { failed } else { status };
    }
    state.writer.record.exit_status = Some(status);
    state.writer.enter(last);
    status
}

fn start(node: &mut Node, state: &mut RunState) -> Result<(), StopReason> {
    let version = check(node, state)?;
    prepare_container(state)?;
    stale::remove_stale_state(&Root::default())?;
    let engines = apply(node, state, version)?;
    start_engine(node, state, &engines)?;
    preload(node, state)?;
    start_main(node, state)
}

/// Lets both tools plan: what is wrong with their settings is told before anything changes.
///
/// Some of the network's settings depend on the engine's version where the MTU is not Ethernet's (dind-net's README, "MTU").
/// Only then dockerd is asked for it: its answer takes as long as a sixth of its whole start, and is waited for later.
fn check(node: &mut Node, state: &mut RunState) -> Result<Option<ToolProcess>, StopReason> {
    state.writer.begin("check");
    let storage = ToolProcess::plan(node, &state.tools.storage, "/", &[])?;
    let net = ToolProcess::plan(node, &state.tools.net, "/", forwarding(&state.user_config, &state.options))?;
    let [_, net] = documents(node, [storage, net], OnStopSignal::Terminate)?;
    if is_set("DIND_ENGINE_VERSION")
        || net.engine.config.get("mtu").and_then(Value::as_u64).is_none_or(|mtu| mtu == ETHERNET_MTU)
    {
        return Ok(None);
    }
    let mut command = Command::new(&state.programs.dockerd);
    command.arg("--version");
    // A dockerd that cannot even say its version is found out when it is started.
    Ok(ToolProcess::start(node, command).ok())
}

fn prepare_container(state: &mut RunState) -> Result<(), Fault> {
    state.writer.begin("prepare");
    let draft =
        prepare::prepare(&Root::default(), Caller::Launcher).map_err(|Failed { fault, .. }| *fault)?;
    for warning in &draft.warnings {
        log_warning(TOOL, warning);
    }
    let result = serde_json::to_value(&draft.result).unwrap_or_default();
    let document = Report {
        schema: TOOL.schema.to_owned(),
        ok: true,
        mode: "prepare".to_owned(),
        changed: draft.steps.changed(),
        result,
        engine: draft.engine,
        steps: draft.steps.0,
        warnings: draft.warnings,
    };
    state.writer.keep("prepare", document);
    Ok(())
}

/// Neither needs the other, so both tools work at once; containerd needs the data root, and is started as soon as that is
/// ready.
fn apply(
    node: &mut Node,
    state: &mut RunState,
    version: Option<ToolProcess>,
) -> Result<[Engine; 2], StopReason> {
    state.writer.begin("storage");
    let mut version = version.into_iter().collect::<Vec<_>>();
    wait_all(node, &mut version, OnStopSignal::Terminate, Some(VERSION_LIMIT))?;
    let version = version.first().and_then(|tool| version::parse(&tool.text()));
    let told = version.as_ref().map(|version| ("DIND_ENGINE_VERSION", version.as_str()));
    let told: Vec<_> =
        told.into_iter().chain(forwarding(&state.user_config, &state.options).iter().copied()).collect();
    // Before, not after: an apply that was cut off has left something to release, too.
    (state.storage_applied, state.net_applied) = (true, true);
    let storage = ToolProcess::tool(node, &state.tools.storage, &["apply"], &[])?;
    let net = ToolProcess::tool(node, &state.tools.net, &["apply"], &told)?;
    let storage = match documents(node, [storage], OnStopSignal::Terminate) {
        Ok([document]) => document,
        Err(reason) => {
            // Cut off it would leave more to undo; it takes less than half a second.
            wait_all(node, &mut [net], OnStopSignal::RunToEnd, Some(GRACE))?;
            return Err(reason);
        }
    };
    state.writer.begin("net");
    let data_root = storage.engine.config.get("data-root").and_then(Value::as_str);
    state.data_root = data_root.unwrap_or("/var/lib/docker").into();
    state.start(node, DaemonKind::Containerd)?;
    // A record that stays costs dockerd time, and nothing else.
    let _ = networks::remove_stale(&state.data_root, &state.links);
    let [net] = documents(node, [net], OnStopSignal::Terminate)?;
    let engines = [storage.engine.clone(), net.engine.clone()];
    state.writer.keep("storage", storage);
    state.writer.keep("net", net);
    Ok(engines)
}

/// dockerd finds containerd by itself: its first thirty milliseconds need none.
fn start_engine(
    node: &mut Node,
    state: &mut RunState,
    [storage, net]: &[Engine; 2],
) -> Result<(), StopReason> {
    state.writer.begin("engine");
    let fragments = [storage, net];
    let merged = config::merge(&fragments, &state.user_config, &state.options.daemon_args);
    for warning in &merged.warnings {
        log_warning(TOOL, warning);
    }
    state.writer.record.warnings.extend(merged.warnings);
    state.writer.record.daemon_json = merged.config.clone();
    state.settings = Settings {
        hosts: merged.hosts.iter().chain(&state.options.daemon_args.hosts).cloned().collect(),
        words: state.options.daemon_args.words.clone(),
        path_prepend: fragments.iter().flat_map(|fragment| fragment.path_prepend.clone()).collect(),
        config: merged.config,
    };
    state.start(node, DaemonKind::Dockerd)?;
    if let Some(dockerd) = &state.dockerd {
        engine::wait_ready(node, dockerd, state.containerd.as_ref(), state.options.ready_timeout)?;
    }
    state.engine_ready = true;
    state.writer.record.engine_version = readiness::version(Path::new(SOCKET), VERSION_LIMIT);
    // To ask the program itself would take a sixth of the start; `doctor` does.
    Ok(state.writer.record.engine_version.as_deref().map_or(Ok(()), version::check)?)
}

/// By our own verb, as a shell script would: it runs beside the main process as well as before it.
fn preload(node: &mut Node, state: &mut RunState) -> Result<(), StopReason> {
    let Some(folder) = &state.options.preload else { return Ok(()) };
    state.writer.begin("preload");
    let own = std::env::current_exe().map_err(|error| broken("find", "/proc/self/exe", &error))?;
    let (folder, host) = (folder.display().to_string(), format!("unix://{SOCKET}"));
    let tool = ToolProcess::tool(node, &own, &["preload", &folder], &[("DOCKER_HOST", &host)])?;
    if !state.options.preload_wait {
        state.preload = Some(tool);
        return Ok(());
    }
    let [document] = documents(node, [tool], OnStopSignal::Terminate)?;
    state.writer.keep("preload", document);
    Ok(())
}

fn start_main(node: &mut Node, state: &mut RunState) -> Result<(), StopReason> {
    let command = state.writer.record.command.clone();
    if !command.is_empty() {
        state.writer.begin("main");
        let variables = agent_defaults(state);
        let main = main_process::start(node, &command, &variables)?;
        state.writer.record.main_pid = Some(main.as_raw());
    }
    state.writer.enter(NodeState::Running);
    Ok(())
}

/// What a Mesos agent is told of its container, now that the storage is known; noted in the record.
fn agent_defaults(state: &mut RunState) -> BTreeMap<String, String> {
    let record = &mut state.writer.record;
    let (Some(facts), Some(storage)) = (&state.agent, record.documents.get("storage")) else {
        return BTreeMap::new();
    };
    let user = |name: &str| std::env::var(name).ok();
    let (agent, mut warnings) = facts.agent(storage, user);
    // Of a work folder that cannot be written the agent tells itself.
    warnings.extend(facts.reconcile(&agent, user).unwrap_or_default());
    warnings.iter().for_each(|warning| log_warning(TOOL, warning));
    record.warnings.extend(warnings);
    record.mesos.insert(agent).defaults.clone()
}

/// Waits for the end: of the main process, which is success; of the engine, which is not; or a signal.
fn supervise(node: &mut Node, state: &mut RunState) -> Result<(), StopReason> {
    while !node.main_has_exited() {
        state.collect_preload(node);
        if let Some(dead) = state.dead_daemon(node) {
            restart_daemon(node, state, dead)?;
            continue;
        }
        let watched: Vec<_> = state.preload.iter().filter_map(ToolProcess::output).collect();
        match node.wait(&watched, None)? {
            WaitOutcome::StopSignal(number) => return Err(StopReason::Signal(number)),
            WaitOutcome::Ready(_) => state.preload.iter_mut().for_each(ToolProcess::read),
            WaitOutcome::Exited(_) | WaitOutcome::Deadline => {}
        }
    }
    Ok(())
}

/// Tells people, and gives the status to exit with.
fn report(fault: &Fault) -> u8 {
    log(TOOL, "error", fault);
    // A tool that failed to apply has told its causes and its cure itself.
    if fault.code.name != fault::STAGE_FAILED.name {
        for cause in &fault.causes {
            log(TOOL, "cause", cause);
        }
        log(TOOL, "hint", &fault.hint);
    }
    status_of(fault)
}

fn status_of(fault: &Fault) -> u8 {
    match fault.code {
        fault::COMMAND_NOT_FOUND => 127,
        fault::COMMAND_NOT_EXECUTABLE => 126,
        _ => LAUNCHER_FAILED,
    }
}
