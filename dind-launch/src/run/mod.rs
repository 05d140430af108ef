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
use crate::engine::{self, Part, Settings, config, networks, readiness, stale, version};
use crate::paths::SOCKET;
use crate::prepare::{self, Caller};
use crate::process::sibling::{Call, Patience, documents, finish};
use crate::process::{Halt, Node, Woken, broken};
use crate::status::record::NodeState;
use crate::{TOOL, fault};
use dind_contract::finish::{log, log_warning};
use dind_contract::{Engine, Failed, Fault, Report};
use dind_system::Root;
use dind_system::supervisor::{ExitStatus, Supervisor};
use preflight::{forwarding, is_set, look};
use serde_json::Value;
use shutdown::stop;
use state::Life;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use supervise::revive;

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
    match look(begun, text, command) {
        Ok((life, log)) => live(Node::new(supervisor, log), life),
        Err(fault) => report(&fault),
    }
}

fn live(mut node: Node, mut life: Life) -> u8 {
    let halt = start(&mut node, &mut life).and_then(|()| attend(&mut node, &mut life)).err();
    let signal = match &halt {
        Some(Halt::Asked(number)) => Some(*number),
        _ => None,
    };
    let served = life.keeper.record.state == NodeState::Running && node.main.is_none();
    let mut last = NodeState::Stopped;
    if let Some(Halt::Fault(fault)) = &halt {
        report(fault);
        life.keeper.record.error = Some(fault.object());
        last = NodeState::Failed;
    }
    life.keeper.enter(NodeState::Stopping);
    let (main, faults) = stop(&mut node, &mut life, signal);
    let mut status = match (halt, main) {
        (Some(Halt::Fault(fault)), _) => status_of(&fault),
        (_, Some(ending)) => ending.status(),
        (Some(Halt::Asked(_)), None) if served => 0,
        (Some(Halt::Asked(number)), None) => ExitStatus::Signaled(number).status(),
        (None, None) => LAUNCHER_FAILED,
    };
    for fault in &faults {
        let failed = report(fault);
        // The main process' own failure says more than ours.
        status = if status == 0 { failed } else { status };
    }
    life.keeper.record.exit_status = Some(status);
    life.keeper.enter(last);
    status
}

fn start(node: &mut Node, life: &mut Life) -> Result<(), Halt> {
    let version = check(node, life)?;
    prepare_container(life)?;
    stale::clear(&Root::default())?;
    let engines = apply(node, life, version)?;
    start_engine(node, life, &engines)?;
    preload(node, life)?;
    start_main(node, life)
}

/// Lets both tools plan: what is wrong with their settings is told before anything changes.
///
/// Some of the network's settings depend on the engine's version where the MTU is not Ethernet's (dind-net's README, "MTU").
/// Only then dockerd is asked for it: its answer takes as long as a sixth of its whole start, and is waited for later.
fn check(node: &mut Node, life: &mut Life) -> Result<Option<Call>, Halt> {
    life.keeper.begin("check");
    let storage = Call::plan(node, &life.tools.storage, "/", &[])?;
    let net = Call::plan(node, &life.tools.net, "/", forwarding(&life.user_config, &life.options))?;
    let [_, net] = documents(node, [storage, net], Patience::UntilAsked)?;
    if is_set("DIND_ENGINE_VERSION")
        || net.engine.config.get("mtu").and_then(Value::as_u64).is_none_or(|mtu| mtu == ETHERNET_MTU)
    {
        return Ok(None);
    }
    let mut command = Command::new(&life.programs.dockerd);
    command.arg("--version");
    // A dockerd that cannot even say its version is found out when it is started.
    Ok(Call::start(node, command).ok())
}

fn prepare_container(life: &mut Life) -> Result<(), Fault> {
    life.keeper.begin("prepare");
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
    life.keeper.keep("prepare", document);
    Ok(())
}

/// Neither needs the other, so both tools work at once; containerd needs the data root, and is started as soon as that is
/// ready.
fn apply(node: &mut Node, life: &mut Life, version: Option<Call>) -> Result<[Engine; 2], Halt> {
    life.keeper.begin("storage");
    let mut version = version.into_iter().collect::<Vec<_>>();
    finish(node, &mut version, Patience::UntilAsked, Some(VERSION_LIMIT))?;
    let version = version.first().and_then(|call| version::parse(&call.text()));
    let told = version.as_ref().map(|version| ("DIND_ENGINE_VERSION", version.as_str()));
    let told: Vec<_> =
        told.into_iter().chain(forwarding(&life.user_config, &life.options).iter().copied()).collect();
    // Before, not after: an apply that was cut off has left something to release, too.
    (life.storage_applied, life.net_applied) = (true, true);
    let storage = Call::tool(node, &life.tools.storage, &["apply"], &[])?;
    let net = Call::tool(node, &life.tools.net, &["apply"], &told)?;
    let storage = match documents(node, [storage], Patience::UntilAsked) {
        Ok([document]) => document,
        Err(halt) => {
            // Cut off it would leave more to undo; it takes less than half a second.
            finish(node, &mut [net], Patience::ToTheEnd, Some(GRACE))?;
            return Err(halt);
        }
    };
    life.keeper.begin("net");
    let data_root = storage.engine.config.get("data-root").and_then(Value::as_str);
    life.data_root = data_root.unwrap_or("/var/lib/docker").into();
    life.start(node, Part::Containerd)?;
    // What we cannot settle dockerd does itself; it only takes longer.
    let _ = networks::settle(&life.data_root, &life.links, life.keeper.record.started_unix_ms);
    let [net] = documents(node, [net], Patience::UntilAsked)?;
    let engines = [storage.engine.clone(), net.engine.clone()];
    life.keeper.keep("storage", storage);
    life.keeper.keep("net", net);
    Ok(engines)
}

/// dockerd finds containerd by itself: its first thirty milliseconds need none.
fn start_engine(node: &mut Node, life: &mut Life, [storage, net]: &[Engine; 2]) -> Result<(), Halt> {
    life.keeper.begin("engine");
    let fragments = [storage, net];
    let merged = config::merge(&fragments, &life.user_config, &life.options.daemon_args);
    for warning in &merged.warnings {
        log_warning(TOOL, warning);
    }
    life.keeper.record.warnings.extend(merged.warnings);
    life.keeper.record.daemon_json = merged.config.clone();
    life.settings = Settings {
        hosts: merged.hosts.iter().chain(&life.options.daemon_args.hosts).cloned().collect(),
        words: life.options.daemon_args.words.clone(),
        path_prepend: fragments.iter().flat_map(|fragment| fragment.path_prepend.clone()).collect(),
        config: merged.config,
    };
    life.start(node, Part::Dockerd)?;
    if let Some(dockerd) = &life.dockerd {
        engine::wait_ready(node, dockerd, life.containerd.as_ref(), life.options.ready_timeout)?;
    }
    life.engine_ready = true;
    life.keeper.record.engine_version = readiness::version(Path::new(SOCKET), VERSION_LIMIT);
    // To ask the program itself would take a sixth of the start; `doctor` does.
    Ok(life.keeper.record.engine_version.as_deref().map_or(Ok(()), version::judge)?)
}

/// By our own verb, as a shell script would: it runs beside the main process as well as before it.
fn preload(node: &mut Node, life: &mut Life) -> Result<(), Halt> {
    let Some(folder) = &life.options.preload else { return Ok(()) };
    life.keeper.begin("preload");
    let own = std::env::current_exe().map_err(|error| broken("find", "/proc/self/exe", &error))?;
    let (folder, host) = (folder.display().to_string(), format!("unix://{SOCKET}"));
    let call = Call::tool(node, &own, &["preload", &folder], &[("DOCKER_HOST", &host)])?;
    if !life.options.preload_wait {
        life.preload = Some(call);
        return Ok(());
    }
    let [document] = documents(node, [call], Patience::UntilAsked)?;
    life.keeper.keep("preload", document);
    Ok(())
}

fn start_main(node: &mut Node, life: &mut Life) -> Result<(), Halt> {
    let command = life.keeper.record.command.clone();
    if !command.is_empty() {
        life.keeper.begin("main");
        let variables = agent_defaults(life);
        let main = main_process::start(node, &command, &variables)?;
        life.keeper.record.main_pid = Some(main.as_raw());
    }
    life.keeper.enter(NodeState::Running);
    Ok(())
}

/// What a Mesos agent is told of its container, now that the storage is known; noted in the record.
fn agent_defaults(life: &mut Life) -> BTreeMap<String, String> {
    let record = &mut life.keeper.record;
    let (Some(facts), Some(storage)) = (&life.agent, record.documents.get("storage")) else {
        return BTreeMap::new();
    };
    let user = |name: &str| std::env::var(name).ok();
    let (agent, mut warnings) = facts.agent(storage, user);
    // Of a work folder that cannot be written the agent tells itself.
    warnings.extend(facts.settle(&agent, user).unwrap_or_default());
    warnings.iter().for_each(|warning| log_warning(TOOL, warning));
    record.warnings.extend(warnings);
    record.mesos.insert(agent).defaults.clone()
}

/// Waits for the end: of the main process, which is success; of the engine, which is not; or a signal.
fn attend(node: &mut Node, life: &mut Life) -> Result<(), Halt> {
    while !node.main_has_ended() {
        life.settle_preload(node);
        if let Some(dead) = life.dead_daemon(node) {
            revive(node, life, dead)?;
            continue;
        }
        let watched: Vec<_> = life.preload.iter().filter_map(Call::output).collect();
        match node.wait(&watched, None)? {
            Woken::Stop(number) => return Err(Halt::Asked(number)),
            Woken::Ready(_) => life.preload.iter_mut().for_each(Call::read),
            Woken::Ended(_) | Woken::Deadline => {}
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
