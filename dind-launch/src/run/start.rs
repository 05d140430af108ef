//! The start of a node, stage by stage. `plan` prints the same stages, from the same list ([`Stage`]).

use super::preflight::{is_set, tool_variables, wanted};
use super::state::RunState;
use super::{
    agent, certificates, claimed, daemons, evidence, main_process, network_lock, preload, range_probe, stages,
};
use crate::TOOL;
use crate::engine::daemon::{self, DaemonKind};
use crate::engine::dockerd::{self, Settings};
use crate::engine::{config, cut_off, data_root_lock, hairpin, stale, stale_networks, version};
use crate::paths::DATA_ROOT;
use crate::prepare;
use crate::process::sibling::{self, Document, documents};
use crate::process::tool::{OnStopSignal, ToolProcess, wait_all};
use crate::process::{Node, StopReason};
use crate::stage::Stage;
use crate::status::record::NodeState;
use dind_contract::finish::log_warning;
use dind_contract::{Engine, Failed, Fault};
use dind_system::{EngineVersion, Root};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The MTU of Ethernet, which engine and containers have without any setting.
const ETHERNET_MTU: u64 = 1500;

/// How long dockerd may take to report its version; after that the node starts without knowing it.
const VERSION_LIMIT: Duration = Duration::from_secs(20);

/// How long `dind-net apply` may take to end by itself once `dind-storage apply` has failed.
const GRACE: Duration = Duration::from_secs(1);

/// Starts everything, up to the main process.
///
/// # Errors
/// The fault of the stage that failed, or the signal that asks the node to stop. What was started or applied is in `state`, for
/// [`super::shutdown`].
pub(super) fn start(node: &mut Node, state: &mut RunState) -> Result<(), StopReason> {
    // A node without a bridge may share its network.
    if state.user.variable("DIND_NET_BRIDGE").is_none_or(|bridge| bridge != "none") {
        state.network_lock = Some(network_lock::take()?);
    }
    let checked = check(node, state)?;
    prepare_container(state)?;
    certificates::start(node, state)?;
    stale::remove_stale_state(&Root::default())?;
    let (engines, dockerd) = apply(node, state, checked)?;
    range_probe::finish_before_engine(node, state)?;
    let others = stages::apply(node, state)?;
    certificates::finish(node, state)?;
    start_engine(node, state, &engines, &others, dockerd)?;
    preload::start(node, state)?;
    range_probe::finish(node, state)?;
    start_main(node, state)
}

/// What the plans say that the rest of the start depends on.
struct Checked {
    /// What dockerd's file says of its version.
    dockerd: EngineVersion,
    /// dockerd is asked for its version.
    version_query: Option<ToolProcess>,
    /// The variables for `dind-net apply`.
    net_variables: Vec<(&'static str, String)>,
    /// Where the engine's data lies.
    data_root: PathBuf,
    /// Inner containers are on the outer network.
    is_bridged: bool,
    /// The data root needs no mount: what the network wants to know of it is there already.
    is_native: bool,
}

/// What the engine writes its firewall rules with: which ones it can depends on its version.
const FIREWALL: &str = "DIND_NET_FIREWALL";

/// Runs the plans of both tools, which find wrong settings before anything changes, and starts the probe of a bridged node.
///
/// Some of the network's settings depend on the engine's version where the MTU is not Ethernet's (dind-net's README, "MTU"), or
/// where the outer network has IPv6, and from 29 on it may have another firewall. Only then dockerd is asked for it, unless its file
/// says enough: the answer takes a sixth as long as its whole start, and is waited for later.
fn check(node: &mut Node, state: &mut RunState) -> Result<Checked, StopReason> {
    state.writer.begin(Stage::Check);
    let variables = tool_variables(&state.user, &state.options);
    let tls = certificates::start_plan(node, state)?;
    let [storage, net] = sibling::plans(node, &state.tools, "/", &variables)?;
    certificates::finish_plan(node, tls)?;
    let planned = stages::plans(node, &state.options.stages, "/")?;
    let mut fragments = vec![&storage.engine, &net.engine];
    fragments.extend(planned.iter().map(|plan| &plan.engine));
    stages::agree(&fragments, &state.options.stages)?;
    config::merge(&fragments, &state.user, &state.options.daemon_args)?;
    let mut net_variables: Vec<_> =
        variables.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
    let probe = range_probe::start(node, state, &net)?;
    state.range_probes.extend(probe);
    if !state.range_probes.is_empty() {
        net_variables.push((range_probe::VARIABLE, "false".to_owned()));
    }
    let data_root = storage.engine.config.get("data-root").and_then(Value::as_str);
    net_variables.extend(data_root.map(|path| ("DIND_DATA_ROOT", path.to_owned())));
    let is_native = storage.result.get("backing").is_none_or(|backing| backing == "native");
    let data_root = data_root.unwrap_or(DATA_ROOT).into();
    let is_bridged = net.result["mode"] == "bridged";
    let dockerd = EngineVersion::of_program(&state.programs.dockerd);
    let mut checked =
        Checked { dockerd, version_query: None, net_variables, data_root, is_bridged, is_native };
    let mtu = net.engine.config.get("mtu").and_then(Value::as_u64);
    let ipv6 = net.result.get("ipv6");
    let ipv6 = ipv6.is_some_and(|ipv6| ipv6["enabled"] == true || ipv6["reason"] == "engine-version");
    // An older engine cannot cut every pool of IPv6.
    let ipv6 = ipv6 || state.user.variable("DIND_NET_ADDRESS_POOLS").is_some_and(|pools| pools.contains(':'));
    let mtu = mtu.is_some_and(|mtu| mtu != ETHERNET_MTU);
    let backend = variables.iter().find(|(name, _)| *name == FIREWALL).map(|(_, text)| (*text).to_owned());
    let firewall = match backend.or_else(|| state.user.variable(FIREWALL)).as_deref() {
        Some("iptables") => false,
        Some("nftables") => true,
        _ => dockerd != EngineVersion::Before29,
    };
    // `dind-storage apply` would have to ask, too.
    let store = storage.result["store"]["name"] == "containerd";
    let matters = !is_set("DIND_ENGINE_VERSION") && (ipv6 || mtu || firewall || store);
    if matters && dockerd == EngineVersion::From29 {
        // As much as dind-net has to know.
        checked.net_variables.push(("DIND_ENGINE_VERSION", "29".to_owned()));
    } else if matters {
        let mut command = Command::new(&state.programs.dockerd);
        daemon::with_environment(command.arg("--version"));
        // A dockerd that cannot be executed fails the stage that starts it.
        checked.version_query = ToolProcess::start(node, command).ok();
    }
    Ok(checked)
}

fn prepare_container(state: &mut RunState) -> Result<(), Fault> {
    state.writer.begin(Stage::Prepare);
    let draft = prepare::prepare(&Root::default(), &wanted(&state.user, &state.options))
        .map_err(|Failed { fault, .. }| *fault)?;
    for warning in &draft.warnings {
        log_warning(TOOL, warning);
    }
    state.writer.keep("prepare", prepare::document(draft, "prepare"));
    Ok(())
}

/// Applies storage and network, both at once, unless the network has to wait for the data root, whose record of networks it reads.
/// containerd needs the data root, too, and is started as soon as that is ready. Returns the engine's settings that storage and
/// network have found, and what is known of its version.
fn apply(
    node: &mut Node,
    state: &mut RunState,
    checked: Checked,
) -> Result<([Engine; 2], EngineVersion), StopReason> {
    state.writer.begin(Stage::Storage);
    let mut version_query = checked.version_query.into_iter().collect::<Vec<_>>();
    wait_all(node, &mut version_query, OnStopSignal::Terminate, Some(VERSION_LIMIT))?;
    let version = version_query.first().and_then(|tool| version::parse(&tool.output()));
    let mut variables: Vec<_> =
        checked.net_variables.iter().map(|(name, text)| (*name, text.as_str())).collect();
    // A build without a version is one of which the tools know none.
    let version = version.as_ref().filter(|version| EngineVersion::parse(version).is_some());
    let dockerd = version.and_then(|version| EngineVersion::parse(version)).unwrap_or(checked.dockerd);
    let version = version.map(|version| ("DIND_ENGINE_VERSION", version.as_str()));
    variables.extend(version);
    // Before, not after: an interrupted apply has left something to release, too.
    (state.storage_applied, state.net_applied) = (true, true);
    let mut for_storage = tool_variables(&state.user, &state.options);
    for_storage.extend(version);
    let storage = sibling::start(node, &state.tools.storage, &["apply"], &for_storage)?;
    let tool = state.tools.net.clone();
    let links = state.original_links.clone();
    let start_net = |node: &mut Node, data_root: &Path| {
        let renewed = checked.is_bridged && stale_networks::will_be_removed(data_root, &links);
        let renewed = renewed.then_some(("DIND_NET_RECORD_RENEWED", "true"));
        let variables: Vec<_> = variables.iter().copied().chain(renewed).collect();
        sibling::start(node, &tool, &["apply"], &variables)
    };
    let mut net = if checked.is_native { Some(start_net(node, &checked.data_root)?) } else { None };
    let storage = match documents(node, [storage], OnStopSignal::Terminate, None) {
        Ok([document]) => document,
        Err(reason) => {
            // Interrupted, it would leave more to undo; it takes less than half a second.
            wait_all(node, net.as_mut_slice(), OnStopSignal::RunToEnd, Some(GRACE))?;
            return Err(reason);
        }
    };
    state.writer.begin(Stage::Net);
    let data_root = storage.engine.config.get("data-root").and_then(Value::as_str);
    state.data_root = data_root.unwrap_or(DATA_ROOT).into();
    if let Err(fault) = lock_data_root(state, &storage) {
        wait_all(node, net.as_mut_slice(), OnStopSignal::RunToEnd, Some(GRACE))?;
        return Err(fault.into());
    }
    let net = net.map_or_else(|| start_net(node, &state.data_root), Ok)?;
    evidence::start(node, state);
    state.start_daemon(node, DaemonKind::Containerd)?;
    // A stale record that stays costs dockerd time, and nothing else.
    let _ = stale_networks::remove(&state.data_root, &state.original_links);
    let [net] = documents(node, [net], OnStopSignal::Terminate, None)?;
    if !state.range_probes.is_empty() {
        let probe = range_probe::start6(node, state, &net)?;
        state.range_probes.extend(probe);
    }
    let engines = [storage.engine.clone(), net.engine.clone()];
    state.writer.keep("storage", storage);
    state.writer.keep("net", net);
    Ok((engines, dockerd))
}

fn lock_data_root(state: &mut RunState, storage: &Document) -> Result<(), Fault> {
    let Some(path) = storage.result.get("lock").and_then(Value::as_str) else { return Ok(()) };
    match data_root_lock::take(Path::new(path))? {
        Ok(lock) => state.data_root_lock = Some(lock),
        Err(warning) => {
            log_warning(TOOL, &warning);
            state.writer.record.warnings.push(warning);
        }
    }
    Ok(())
}

/// Starts dockerd with the merged settings, and waits until it answers.
fn start_engine(
    node: &mut Node,
    state: &mut RunState,
    [storage, net]: &[Engine; 2],
    others: &[Engine],
    dockerd: EngineVersion,
) -> Result<(), StopReason> {
    state.writer.begin(Stage::Engine);
    let mut fragments = vec![storage, net];
    fragments.extend(others);
    stages::agree(&fragments, &state.options.stages)?;
    fragments.push(&state.listen.engine);
    let mut merged = config::merge(&fragments, &state.user, &state.options.daemon_args)?;
    dockerd::place_key(&mut merged.config);
    merged.warnings.extend(state.listen.warnings.clone());
    let args = &state.options.daemon_args;
    merged.warnings.extend(hairpin::warning(&Root::default(), &merged.config, args));
    merged.warnings.extend(cut_off::warning(&Root::default(), &merged.config, args));
    let storage = state.writer.record.documents.get("storage");
    let unused = storage.and_then(|storage| config::seed_not_used(&storage.result, &merged.config, args));
    merged.warnings.extend(unused);
    merged.warnings.extend(config::storage_options_unread(&merged.config, args));
    for warning in &merged.warnings {
        log_warning(TOOL, warning);
    }
    state.writer.record.warnings.extend(merged.warnings);
    state.writer.record.daemon_json = merged.config.clone();
    state.dockerd_settings = Settings {
        hosts: state.listen.hosts.clone(),
        pid_file: state.user.pid_file.clone(),
        words: state.options.daemon_args.words.clone(),
        path_prepend: fragments.iter().flat_map(|fragment| fragment.path_prepend.clone()).collect(),
        config: merged.config,
    };
    daemons::start_dockerd(node, state, dockerd)?;
    if let Some(dockerd) = &state.dockerd {
        state.writer.record.engine_version = daemon::version(node, dockerd, VERSION_LIMIT)?;
    }
    let major = state.writer.record.engine_version.as_deref().and_then(version::major);
    let args = &state.options.daemon_args;
    if let Some(warning) = cut_off::warning6(&state.dockerd_settings.config, args, major) {
        log_warning(TOOL, &warning);
        state.writer.record.warnings.push(warning);
    }
    // Not asked of the program itself, as `doctor` does: that would take a sixth of the start.
    Ok(state.writer.record.engine_version.as_deref().map_or(Ok(()), version::check)?)
}

fn start_main(node: &mut Node, state: &mut RunState) -> Result<(), StopReason> {
    let command = state.writer.record.command.clone();
    if state.options.hold {
        claimed::listen(state)?;
    }
    state.writer.keep_programs(node.take_programs());
    if !command.is_empty() {
        state.writer.begin(Stage::Main);
        let variables = agent::variables(state, |name| std::env::var(name).ok());
        let main = main_process::start(node, &command, &variables)?;
        state.writer.record.main_pid = Some(main.pid().as_raw());
    }
    state.writer.enter(NodeState::Running);
    Ok(())
}
