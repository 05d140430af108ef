//! The engine: containerd and dockerd, started, and waited for until they answer or die.
//!
//! containerd is the launcher's own child and not dockerd's. dockerd waits for a containerd that it manages in steps of
//! a second when it stops, and after a crash takes any process with the number in a stale pid file for it.

pub mod args;
pub mod boltdb;
pub mod config;
pub mod flags;
pub mod networks;
pub mod preload;
pub mod readiness;
pub mod stale;
pub mod version;

use crate::fault;
use crate::paths::{RUN_DIR, SOCKET, containerd_socket, pid_file, state_dir};
use crate::process::{Node, StopReason, WaitOutcome, broken};
use dind_contract::Fault;
use dind_system::supervisor::SpawnMode;
use nix::unistd::Pid;
use readiness::{Notify, listens, ping};
use serde_json::{Map, Value, json};
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How often a daemon is asked, in case it does not tell its readiness by sd_notify.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long the question may keep us from signals and from the log. dockerd accepts long before it is ready, and says nothing
/// until then; once it is, it answers within a millisecond.
const ANSWER: Duration = Duration::from_millis(20);

/// Parts of containerd that no Docker Engine uses, by their names in containerd 1 and 2: that of Kubernetes, and snapshotters
/// that do nothing without settings of their own but to warn of that, one of them after a modprobe.
const NOT_DOCKERS: [&str; 8] = [
    "io.containerd.grpc.v1.cri",
    "io.containerd.cri.v1.runtime",
    "io.containerd.cri.v1.images",
    "io.containerd.grpc.v1.sandbox-controllers",
    "io.containerd.podsandbox.controller.v1.podsandbox",
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.blockfile",
    "io.containerd.snapshotter.v1.devmapper",
];

/// What of our environment the engine gets. Secrets of the main process and settings of ours are not among it.
const ENVIRONMENT: &[&str] = &[
    "PATH",
    "HOME",
    "TZ",
    "LANG",
    "TMPDIR",
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

    fn answers(self) -> bool {
        match self {
            Self::Containerd => listens(&containerd_socket()),
            Self::Dockerd => ping(Path::new(SOCKET), ANSWER),
        }
    }
}

/// The programs.
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
    pub fn find() -> Result<Self, Fault> {
        let one = |name: &str| {
            which::which(name).map_err(|_| {
                let fault = fault::ENGINE_MISSING.cannot("find", name, "it is not on PATH");
                fault.hint("install the Docker Engine in the image: apt-get install docker.io")
            })
        };
        Ok(Self { dockerd: one("dockerd")?, containerd: one("containerd")? })
    }
}

/// A daemon that has been started, and the socket on which it tells that it is ready.
#[derive(Debug)]
pub struct Daemon {
    /// Its pid.
    pub pid: Pid,
    /// When it was started.
    pub started: Instant,
    kind: DaemonKind,
    notify: Notify,
}

/// Starts containerd. Its persistent part lies where dockerd's own containerd would have it, so that a data root can
/// change hands between the two.
///
/// # Errors
/// Its settings cannot be written, or it cannot be executed.
pub fn start_containerd(node: &mut Node, programs: &Programs, data_root: &Path) -> Result<Daemon, Fault> {
    let file = Path::new(RUN_DIR).join("containerd.toml");
    let settings = format!(
        "version = 2\nroot = {root}\nstate = {state}\ndisabled_plugins = {disabled}\n[grpc]\naddress = {address}\n[debug]\nlevel = \"warn\"\n",
        root = toml(&data_root.join("containerd/daemon")),
        state = toml(&state_dir()),
        disabled = json!(NOT_DOCKERS),
        address = toml(&containerd_socket()),
    );
    fs::write(&file, settings).map_err(|error| broken("write", &file.display().to_string(), &error))?;
    let mut command = Command::new(&programs.containerd);
    command.arg("--config").arg(&file);
    start(node, DaemonKind::Containerd, command, &[])
}

/// A TOML basic string takes JSON's escapes.
fn toml(path: &Path) -> Value {
    Value::String(path.display().to_string())
}

/// What dockerd is started with.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The merged `daemon.json`.
    pub config: Map<String, Value>,
    /// Sockets beside the node's own.
    pub hosts: Vec<String>,
    /// More words of the user's, passed literally.
    pub words: Vec<String>,
    /// Folders that go to the front of its `PATH`.
    pub path_prepend: Vec<PathBuf>,
}

/// Starts dockerd.
///
/// # Errors
/// Its settings cannot be written, or it cannot be executed.
pub fn start_dockerd(node: &mut Node, programs: &Programs, settings: &Settings) -> Result<Daemon, Fault> {
    let file = Path::new(RUN_DIR).join("daemon.json");
    let text = format!("{:#}\n", json!(settings.config));
    fs::write(&file, text).map_err(|error| broken("write", &file.display().to_string(), &error))?;
    let mut command = Command::new(&programs.dockerd);
    command.arg("--config-file").arg(&file);
    command.arg("--containerd").arg(containerd_socket());
    command.arg("--pidfile").arg(pid_file());
    let own = format!("unix://{SOCKET}");
    for host in std::iter::once(&own).chain(settings.hosts.iter().filter(|host| **host != own)) {
        command.arg("--host").arg(host);
    }
    command.args(&settings.words);
    start(node, DaemonKind::Dockerd, command, &settings.path_prepend)
}

fn start(
    node: &mut Node,
    kind: DaemonKind,
    mut command: Command,
    path_prepend: &[PathBuf],
) -> Result<Daemon, Fault> {
    let socket = Path::new(RUN_DIR).join(format!("{}.notify", kind.name()));
    let notify =
        Notify::bind(&socket).map_err(|error| broken("bind", &socket.display().to_string(), &error))?;
    let kept: Vec<_> = ENVIRONMENT.iter().filter_map(|name| Some((*name, std::env::var_os(name)?))).collect();
    command.env_clear().envs(kept).env("NOTIFY_SOCKET", notify.path());
    // Tells containerd that it is in a container: it leaves AppArmor, whose profiles are the host's, alone.
    command.env("container", "docker");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = path_prepend.iter().cloned().chain(std::env::split_paths(&path));
    if let Ok(path) = std::env::join_paths(folders) {
        command.env("PATH", path);
    }
    // Both streams into one pipe: the engine's stdout must not mix with the main process'.
    let (log, write_end) = io::pipe().map_err(|error| broken("make", "a pipe", &error))?;
    let stdout = write_end.try_clone().map_err(|error| broken("make", "a pipe", &error))?;
    command.stdin(Stdio::null()).stdout(stdout).stderr(write_end).current_dir("/");
    let program = command.get_program().to_string_lossy().into_owned();
    let (pid, _) = node.spawn(&mut command, SpawnMode::Session).map_err(|error| {
        let fault = fault::ENGINE_MISSING.cannot("execute", program, error);
        fault.hint("install the Docker Engine in the image again: apt-get install --reinstall docker.io")
    })?;
    node.log.add(log);
    Ok(Daemon { pid, started: Instant::now(), kind, notify })
}

/// Waits until a daemon says that it is ready, or answers. Its death, or that of a daemon which it needs, ends the waiting
/// at once.
///
/// # Errors
/// One died, with the last lines of its log as causes; it took longer than `limit`; a signal asks us to stop.
pub fn wait_ready(
    node: &mut Node,
    daemon: &Daemon,
    needed: Option<&Daemon>,
    limit: Duration,
) -> Result<(), StopReason> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(dead) = needed.into_iter().chain([daemon]).find(|one| node.exit_status(one.pid).is_some())
        {
            return Err(died(node, dead).into());
        }
        let next_look = (Instant::now() + LOOK_EVERY).min(deadline);
        match node.wait(&[daemon.notify.as_fd()], Some(next_look))? {
            WaitOutcome::Ready(_) if daemon.notify.is_ready() => return Ok(()),
            WaitOutcome::Ready(_) | WaitOutcome::Exited(_) => {}
            WaitOutcome::StopSignal(number) => return Err(StopReason::Signal(number)),
            WaitOutcome::Deadline if daemon.kind.answers() => return Ok(()),
            WaitOutcome::Deadline if Instant::now() >= deadline => {
                return Err(slow(node, daemon, limit).into());
            }
            WaitOutcome::Deadline => {}
        }
    }
}

/// The error of a daemon that has ended unasked.
pub fn died(node: &mut Node, daemon: &Daemon) -> Fault {
    node.log.drain();
    let status = node.exit_status(daemon.pid).map_or(0, |exit_status| exit_status.status());
    let mut fault =
        fault::ENGINE_DIED.cannot("run", daemon.kind.name(), format!("it ended with status {status}"));
    fault.causes = node.log.tail();
    fault.hint("the last lines of its log say why; run the node with DOCKER_DAEMON_ARGS=--debug for more")
}

fn slow(node: &Node, daemon: &Daemon, limit: Duration) -> Fault {
    let cause = format!("it did not answer within {} s", limit.as_secs_f32());
    let mut fault = fault::ENGINE_SLOW.cannot("wait for", daemon.kind.name(), cause);
    fault.causes = node.log.tail();
    fault.hint("set DIND_READY_TIMEOUT to more, such as 5m, if the machine is slow")
}
