//! What containerd and dockerd have in common: their environment, their log, and the wait until they are ready or die.

use super::death::{Counters, findings};
use super::readiness::{Notify, Ping, listens};
use crate::apparmor;
use crate::fault;
use crate::paths::{self, RUN_DIR, SOCKET, containerd_socket};
use crate::process::{Node, StopReason, WaitOutcome, hint_of, init_failed};
use dind_contract::Fault;
use dind_system::helper::HELPER_PATH;
use dind_system::supervisor::{ChildId, SpawnMode};
use dind_system::{PackageManager, Root};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How often a daemon's socket is tried, in case it does not report its readiness by sd_notify.
const POLL_EVERY: Duration = Duration::from_millis(100);

/// The variables of our environment that the engine gets: no secrets of the main process, and no settings of ours.
const ENVIRONMENT: &[&str] = &[
    "PATH",
    "HOME",
    "TZ",
    "LANG",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GODEBUG",
    "GOGC",
    "GOMAXPROCS",
    "GOMEMLIMIT",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "all_proxy",
    "no_proxy",
    "DOCKER_RAMDISK",
    "DOCKER_TMPDIR",
    "DOCKER_MIN_API_VERSION",
    "MOBY_DISABLE_PIGZ",
];

/// The engine's daemons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DaemonKind {
    /// Runs the containers' shims.
    Containerd,
    /// Everything else.
    Dockerd,
}

impl DaemonKind {
    /// The program's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::Dockerd => "dockerd",
        }
    }
}

/// The package of both, in Debian and Ubuntu.
const ENGINE_PACKAGE: &str = "docker.io";

/// Where the engine's programs are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programs {
    /// Absolute path of dockerd.
    pub dockerd: PathBuf,
    /// Absolute path of containerd.
    pub containerd: PathBuf,
}

impl Programs {
    /// Looks both up on PATH.
    ///
    /// # Errors
    /// [`fault::ENGINE_MISSING`].
    pub fn find(root: &Root) -> Result<Self, Fault> {
        let one = |name: &str| {
            paths::program(root, name).ok_or_else(|| {
                let fault = fault::ENGINE_MISSING.cannot("find", name, "it is not on PATH");
                fault.hint(PackageManager::of(root).hint(name, ENGINE_PACKAGE))
            })
        };
        Ok(Self { dockerd: one("dockerd")?, containerd: one("containerd")? })
    }
}

/// Gives one of the engine's programs its environment.
pub fn with_environment(command: &mut Command) -> &mut Command {
    let inherited = ENVIRONMENT.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)));
    command.env_clear().envs(inherited)
}

/// A daemon that has been started.
#[derive(Debug)]
pub struct Daemon {
    /// Which child it is.
    pub child: ChildId,
    /// When it was started.
    pub started: Instant,
    kind: DaemonKind,
    notify: Notify,
    counters: Counters,
    data_root: PathBuf,
}

/// Starts a daemon in a session of its own, with the engine's environment; what it prints goes to the engine's log.
///
/// # Errors
/// [`fault::ENGINE_MISSING`]: it cannot be executed. [`fault::INIT_FAILED`]: there is no socket or pipe for it.
pub(super) fn spawn(
    node: &mut Node,
    kind: DaemonKind,
    mut command: Command,
    path_prepend: &[PathBuf],
    data_root: &Path,
) -> Result<Daemon, Fault> {
    let socket = Path::new(RUN_DIR).join(format!("{}.notify", kind.name()));
    let notify = Notify::bind(&socket)
        .map_err(|error| init_failed(format_args!("cannot bind `{}`", socket.display()), &error))?;
    with_environment(&mut command).env("NOTIFY_SOCKET", notify.path());
    // By this an engine newer than 20.10 knows that it is in a container, and gives its containers no profile of AppArmor.
    if !apparmor::engine_may_confine(&Root::default()) {
        command.env("container", "docker");
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    // dockerd finds runc and iptables by it, and a PATH that was made for users has no sbin.
    let directories = path_prepend.iter().cloned().chain(std::env::split_paths(&path));
    let directories = directories.chain(std::env::split_paths(HELPER_PATH));
    if let Ok(path) = std::env::join_paths(directories) {
        command.env("PATH", path);
    }
    // Both streams into one pipe: the engine's stdout must not mix with the main process'.
    let pipes = || -> io::Result<_> {
        let (log, stderr) = io::pipe()?;
        Ok((log, stderr.try_clone()?, stderr))
    };
    let (log, stdout, stderr) = pipes().map_err(|error| init_failed("cannot create a pipe", &error))?;
    command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).current_dir("/");
    let program = command.get_program().to_string_lossy().into_owned();
    let counters = Counters::read(&Root::default());
    let (child, _) = node.spawn(&mut command, SpawnMode::Session).map_err(|error| {
        let again = || PackageManager::of(&Root::default()).hint(kind.name(), ENGINE_PACKAGE);
        let hint = hint_of(&error).map_or_else(again, str::to_owned);
        fault::ENGINE_MISSING.cannot("execute", program, error).hint(hint)
    })?;
    node.log.add(log);
    let data_root = data_root.to_owned();
    Ok(Daemon { child, started: Instant::now(), kind, notify, counters, data_root })
}

/// Waits until a daemon reports that it is ready, or its socket answers. The death of the daemon, or of one that it needs,
/// ends the wait at once. So does the end of the main process: then it returns false.
///
/// # Errors
/// [`fault::ENGINE_DIED`], with the last lines of the log as causes; [`fault::ENGINE_SLOW`] after `limit`; the signal that asks
/// the node to stop.
pub fn wait_ready(
    node: &mut Node,
    daemon: &Daemon,
    needed: Option<&Daemon>,
    limit: Duration,
) -> Result<bool, StopReason> {
    let outcome = until_ready(node, daemon, needed, limit);
    // containerd reports its stop here, too; where it cannot, it logs an error.
    if daemon.kind == DaemonKind::Dockerd {
        daemon.notify.close();
    }
    outcome
}

fn until_ready(
    node: &mut Node,
    daemon: &Daemon,
    needed: Option<&Daemon>,
    limit: Duration,
) -> Result<bool, StopReason> {
    let deadline = Instant::now() + limit;
    let mut ping = None;
    while !node.main_has_exited() {
        if let Some(dead) =
            needed.into_iter().chain([daemon]).find(|one| node.exit_status(one.child).is_some())
        {
            return Err(died(node, dead).into());
        }
        let next_poll = (Instant::now() + POLL_EVERY).min(deadline);
        let mut watched = vec![daemon.notify.as_fd()];
        watched.extend(ping.iter().map(Ping::as_fd));
        match node.wait(&watched, Some(next_poll)) {
            WaitOutcome::Ready(0) if daemon.notify.is_ready() => return Ok(true),
            WaitOutcome::Ready(1) if ping.as_mut().is_some_and(Ping::advance) => {
                if ping.take().is_some_and(|ping| ping.succeeded()) {
                    return Ok(true);
                }
            }
            WaitOutcome::Ready(_) | WaitOutcome::Exited(_) => {}
            WaitOutcome::StopSignal(number) => return Err(StopReason::Signal(number)),
            WaitOutcome::Deadline if Instant::now() >= deadline => {
                return Err(slow(node, daemon, limit).into());
            }
            WaitOutcome::Deadline => match daemon.kind {
                DaemonKind::Containerd if listens(&containerd_socket()) => return Ok(true),
                // dockerd accepts connections long before it is ready, and does not answer until then.
                DaemonKind::Dockerd if ping.is_none() => ping = Ping::send(Path::new(SOCKET)).ok(),
                _ => {}
            },
        }
    }
    Ok(false)
}

/// The version of a dockerd that is ready; nothing where it does not answer within `limit`, or has exited.
///
/// # Errors
/// The signal that asks the node to stop.
pub fn version(node: &mut Node, daemon: &Daemon, limit: Duration) -> Result<Option<String>, StopReason> {
    let deadline = Instant::now() + limit;
    let Ok(mut ping) = Ping::send(Path::new(SOCKET)) else { return Ok(None) };
    while node.exit_status(daemon.child).is_none() {
        match node.wait(&[ping.as_fd()], Some(deadline)) {
            WaitOutcome::Ready(_) if ping.advance() => return Ok(ping.version()),
            WaitOutcome::Ready(_) | WaitOutcome::Exited(_) => {}
            WaitOutcome::StopSignal(number) => return Err(StopReason::Signal(number)),
            WaitOutcome::Deadline => break,
        }
    }
    Ok(None)
}

/// The fault of a daemon that has exited unexpectedly. Its causes are what the cgroup and the filesystems know of its death, and
/// the last lines of its log.
pub fn died(node: &mut Node, daemon: &Daemon) -> Fault {
    node.log.drain();
    let status = node.exit_status(daemon.child).map_or(0, |exit_status| exit_status.status());
    let mut fault =
        fault::ENGINE_DIED.cannot("run", daemon.kind.name(), format!("it ended with status {status}"));
    let findings = findings(daemon.counters, &daemon.data_root);
    fault.causes = findings.iter().map(|finding| finding.cause.clone()).chain(node.log.tail()).collect();
    let hint = "the causes are the last lines of its log; DOCKER_DAEMON_ARGS=--debug shows more";
    fault.hint(findings.first().map_or(hint, |finding| finding.hint))
}

fn slow(node: &Node, daemon: &Daemon, limit: Duration) -> Fault {
    let cause = format!("no answer within {} s", limit.as_secs_f32());
    let what = format!("`{}` did not become ready", daemon.kind.name());
    let mut fault = fault::ENGINE_SLOW.failed(what, cause);
    fault.causes = node.log.tail();
    fault.hint("if the machine is slow, set a longer DIND_READY_TIMEOUT, such as 5m")
}
