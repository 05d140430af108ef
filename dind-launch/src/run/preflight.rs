//! Finds everything that can be wrong before anything changes.

use super::command_form::Form;
use super::main_process;
use super::state::RunState;
use crate::cli::RunOptions;
use crate::doctor;
use crate::engine::daemon::Programs;
use crate::engine::dockerd::Settings;
use crate::engine::stale_networks::Links;
use crate::engine::user_settings::UserSettings;
use crate::engine::{config, docker_host, preload};
use crate::mesos;
use crate::options::{LogTo, Options};
use crate::paths::{DATA_ROOT, LOG_FILE};
use crate::prepare::{Caller, Wanted};
use crate::process::hint_of;
use crate::process::log::EngineLog;
use crate::process::sibling::Tools;
use crate::restart_policy::Attempts;
use crate::status::record::Hold;
use crate::status::record_writer::RecordWriter;
use crate::tls::listen::Listen;
use crate::variables;
use crate::{TOOL, fault};
use dind_contract::Fault;
use dind_contract::finish::{log, log_warning};
use dind_system::Root;
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
    /// What the user has set for the engine.
    pub(crate) user: UserSettings,
    /// What dockerd listens on.
    pub(crate) listen: Listen,
    /// The main process; empty where the engine is the service.
    pub(crate) command: Vec<String>,
    /// The image archives to load, in order.
    pub(crate) archives: Vec<PathBuf>,
}

impl Inputs {
    /// Reads options and files, and finds all programs, below `root`. The sibling tools are this machine's: they are asked.
    ///
    /// # Errors
    /// The first fault that is found.
    pub(crate) fn read(root: &Root, text: &RunOptions, command: &[String]) -> Result<Self, Fault> {
        let form = Form::of(root, command);
        let mut options = Options::with_flags(text, form.flags())?;
        let tools = Tools::find(options.tools.as_deref())?;
        let programs = form.programs(root)?;
        let listens_at_docker_host = Form::listens_at_docker_host(command);
        let command = match form {
            Form::Engine { .. } => Vec::new(),
            Form::Main(command) if options.hold => {
                without_command(&command)?;
                command
            }
            Form::Main(command) => main_process::choose(root, &command)?,
        };
        let mut user = UserSettings::read(root, &options.daemon_args)?;
        let is_service = command.is_empty() && !options.hold;
        if is_service && listens_at_docker_host {
            docker_host::add(root, &mut user);
        } else if is_service {
            user.warnings.extend(options.tls.leave_to_flags());
        }
        let listen = Listen::decide(&options.tls, &user, &options.daemon_args)?;
        options.log_beside(!command.is_empty());
        let archives = options.preload.as_deref().map(|directory| preload::archives(root, directory));
        let archives = archives.transpose()?.unwrap_or_default();
        Ok(Self { options, tools, programs, user, listen, command, archives })
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
    let root = Root::default();
    let Inputs { options, tools, programs, user, listen, command, .. } = Inputs::read(&root, text, command)?;
    let allow_host_devices = options.allow_host_devices;
    let args = doctor::NodeArgs { allow_host_devices, ..doctor::NodeArgs::of(|name| user.variable(name)) };
    doctor::refuse(&root, &args)?;
    let hold = options.hold.then_some(Hold::Waiting);
    let mut writer = RecordWriter::claim(begun, &command, &tools, hold)?;
    for warning in
        variables::unknown(std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()))
    {
        log_warning(TOOL, &warning);
        writer.record.warnings.push(warning);
    }
    let log = open_log(options.log)?;
    // A command that comes later may be an agent, too.
    let agent = [mesos::AGENTS[0].to_owned()];
    let may_run = if options.hold { &agent[..] } else { &command };
    let state = RunState {
        mesos_facts: mesos::Facts::of(&root, may_run, options.mesos_defaults),
        options,
        tools,
        programs,
        user,
        listen,
        writer,
        data_root: PathBuf::new(),
        data_root_lock: None,
        original_links: Links::read(&root),
        dockerd_settings: Settings::default(),
        containerd: None,
        dockerd: None,
        restart_attempts: Attempts::default(),
        claims: None,
        claimant: None,
        preload_process: None,
        tls_process: None,
        evidence: None,
        reclaim: None,
        range_probes: Vec::new(),
        network_lock: None,
        storage_applied: false,
        net_applied: false,
        applied_stages: Vec::new(),
    };
    Ok((state, log))
}

/// A node that waits has no main process of its own.
fn without_command(command: &[String]) -> Result<(), Fault> {
    if command.is_empty() {
        return Ok(());
    }
    let fault =
        fault::HOLD_INVALID.cannot("hold for", command.join(" "), "a node that waits gets its command later");
    Err(fault
        .hint("leave the command out, and run it with `dind-launch claim -- COMMAND`; or leave out --hold"))
}

/// What the launcher wants of its container.
pub(crate) fn wanted(user: &UserSettings, options: &Options) -> Wanted {
    let data_root = user.variable("DIND_DATA_ROOT").unwrap_or_else(|| DATA_ROOT.to_owned());
    Wanted { caller: Caller::Launcher, tmp: options.tmp.clone(), data_root: data_root.into() }
}

/// Whether the user has set a variable; an empty one counts as unset.
pub(super) fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|text| !text.is_empty())
}

/// Opens the engine's log. On a terminal it would stand in the middle of what the main process prints.
fn open_log(to: LogTo) -> Result<EngineLog, Fault> {
    let file = EngineLog::open(to != LogTo::Stderr);
    match (to, file) {
        (LogTo::FileBesideTerminal, Ok(file)) => {
            log(TOOL, "note", format!("the engine's log is in {LOG_FILE}; LOG=stdio shows it here"));
            Ok(file)
        }
        (LogTo::FileBesideTerminal, Err(_)) => open_log(LogTo::Stderr),
        (_, opened) => opened.map_err(|error| {
            let hint = "LOG=file needs a file there that root can write to; LOG=stdio needs none";
            let fault = fault::INIT_FAILED.failed(format_args!("cannot open `{LOG_FILE}`"), &error);
            fault.hint(hint_of(&error).unwrap_or(hint))
        }),
    }
}

/// The variables that all sibling tools get beside ours: what the user's settings for the engine have decided. dind-net switches
/// forwarding on where dockerd would, which takes no time beside the storage, and leaves IPv6 to a user with settings for it. Who
/// wants other rules than dockerd's, or none, has said so in the words of iptables.
pub(crate) fn tool_variables<'a>(user: &'a UserSettings, options: &Options) -> Vec<(&'static str, &'a str)> {
    let args = &options.daemon_args;
    let forwards = config::forwards(user, args);
    let ours = [
        ("DIND_NET_FORWARD", if forwards { "true" } else { "false" }, true),
        ("DIND_NET_FIREWALL", "iptables", !forwards && user.variable("DIND_NET_FIREWALL").is_none()),
        ("DIND_NET_IPV6", "false", config::has_ipv6(user, args)),
    ];
    let ours = ours.into_iter().filter(|(name, _, wanted)| *wanted && !is_set(name));
    let decided = user.variables.iter().map(|(name, value)| (*name, value.as_str()));
    decided.chain(ours.map(|(name, value, _)| (name, value))).collect()
}
