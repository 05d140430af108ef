//! The errors of `dind-launch`.

use dind_contract::{Code, ExitCode};

/// A duration of a flag or variable cannot be read.
pub const DURATION_INVALID: Code = Code::new("duration-invalid", ExitCode::Config);
/// `LOG` is neither `stdio` nor `file`.
pub const LOG_INVALID: Code = Code::new("log-invalid", ExitCode::Config);
/// `DIND_RUN_FLAGS` is neither true nor false.
pub const RUN_FLAGS_INVALID: Code = Code::new("run-flags-invalid", ExitCode::Config);
/// A signal's name or number is unknown.
pub const SIGNAL_INVALID: Code = Code::new("signal-invalid", ExitCode::Config);
/// `DIND_ENGINE_RESTART` is no policy.
pub const RESTART_INVALID: Code = Code::new("restart-invalid", ExitCode::Config);
/// `DOCKER_DAEMON_ARGS` cannot be split into words.
pub const DAEMON_ARGS_INVALID: Code = Code::new("daemon-args-invalid", ExitCode::Config);
/// A flag or a key of `daemon.json` is ours to set.
pub const DAEMON_ARG_OWNED: Code = Code::new("daemon-arg-owned", ExitCode::Config);
/// The engine would listen on the network for everybody.
pub const DAEMON_ARG_UNSAFE: Code = Code::new("daemon-arg-unsafe", ExitCode::Config);
/// The user's `daemon.json` cannot be read.
pub const DAEMON_JSON_INVALID: Code = Code::new("daemon-json-invalid", ExitCode::Config);
/// `DIND_MESOS_DEFAULTS` is neither true nor false.
pub const MESOS_DEFAULTS_INVALID: Code = Code::new("mesos-defaults-invalid", ExitCode::Config);
/// The folder of image archives cannot be read, or whether to wait for them is neither true nor false.
pub const PRELOAD_INVALID: Code = Code::new("preload-invalid", ExitCode::Config);
/// An archive did not load.
pub const PRELOAD_FAILED: Code = Code::new("preload-failed", ExitCode::Io);
/// `dockerd` or `containerd` is not installed.
pub const ENGINE_MISSING: Code = Code::new("engine-missing", ExitCode::Config);
/// The engine is older than those that a node can be made of.
pub const ENGINE_UNSUPPORTED: Code = Code::new("engine-unsupported", ExitCode::Config);
/// The engine ended before it was ready, or while the main process ran.
pub const ENGINE_DIED: Code = Code::new("engine-died", ExitCode::Unavailable);
/// The engine did not answer in time.
pub const ENGINE_SLOW: Code = Code::new("engine-slow", ExitCode::Unavailable);
/// Another engine or launcher is at work in this container.
pub const ALREADY_RUNNING: Code = Code::new("already-running", ExitCode::InUse);
/// A sibling tool is not there.
pub const TOOL_MISSING: Code = Code::new("tool-missing", ExitCode::Config);
/// A sibling tool's plan does not come about; its own code is the first of `causes`.
pub const SETTINGS_REFUSED: Code = Code::new("settings-refused", ExitCode::Config);
/// A sibling tool did not do its work; its own code is the first of `causes`.
pub const STAGE_FAILED: Code = Code::new("stage-failed", ExitCode::Config);
/// A sibling tool broke the contract: no document, another schema, a signal.
pub const TOOL_BROKEN: Code = Code::new("tool-broken", ExitCode::Io);
/// The main process is not there.
pub const COMMAND_NOT_FOUND: Code = Code::new("command-not-found", ExitCode::Config);
/// The main process cannot be executed.
pub const COMMAND_NOT_EXECUTABLE: Code = Code::new("command-not-executable", ExitCode::Config);
/// The caller is not root.
pub const NOT_ROOT: Code = Code::new("not-root", ExitCode::Privilege);
/// `CAP_SYS_ADMIN` is missing.
pub const CAP_SYS_ADMIN_MISSING: Code = Code::new("cap-sys-admin-missing", ExitCode::Privilege);
/// Required features are missing.
pub const NODE_CANNOT_WORK: Code = Code::new("node-cannot-work", ExitCode::Privilege);
/// A mount, a directory or a cgroup file cannot be set up.
pub const PREPARE_FAILED: Code = Code::new("prepare-failed", ExitCode::Io);
/// The cgroup's processes keep coming back, or its controllers cannot be delegated.
pub const CGROUP_BUSY: Code = Code::new("cgroup-busy", ExitCode::Io);
/// The kernel refuses what every supervisor needs.
pub const INIT_FAILED: Code = Code::new("init-failed", ExitCode::Io);
/// The record cannot be read or written.
pub const RECORD_UNUSABLE: Code = Code::new("record-unusable", ExitCode::Io);
/// No launcher runs in this container.
pub const NOT_RUNNING: Code = Code::new("not-running", ExitCode::Unavailable);
/// The node runs, but is not healthy.
pub const NOT_HEALTHY: Code = Code::new("not-healthy", ExitCode::Unavailable);
/// `--root` is for plans.
pub const ROOT_IS_FAKE: Code = Code::new("root-is-fake", ExitCode::Config);

/// All of them, for the README's table.
pub const CODES: &[Code] = &[
    DURATION_INVALID,
    LOG_INVALID,
    RUN_FLAGS_INVALID,
    SIGNAL_INVALID,
    RESTART_INVALID,
    DAEMON_ARGS_INVALID,
    DAEMON_ARG_OWNED,
    DAEMON_ARG_UNSAFE,
    DAEMON_JSON_INVALID,
    MESOS_DEFAULTS_INVALID,
    PRELOAD_INVALID,
    PRELOAD_FAILED,
    ENGINE_MISSING,
    ENGINE_UNSUPPORTED,
    ENGINE_DIED,
    ENGINE_SLOW,
    ALREADY_RUNNING,
    TOOL_MISSING,
    SETTINGS_REFUSED,
    STAGE_FAILED,
    TOOL_BROKEN,
    COMMAND_NOT_FOUND,
    COMMAND_NOT_EXECUTABLE,
    NOT_ROOT,
    CAP_SYS_ADMIN_MISSING,
    NODE_CANNOT_WORK,
    PREPARE_FAILED,
    CGROUP_BUSY,
    INIT_FAILED,
    RECORD_UNUSABLE,
    NOT_RUNNING,
    NOT_HEALTHY,
    ROOT_IS_FAKE,
];

/// The codes of all warnings, for the README's table.
pub const WARNINGS: &[&str] = &[
    "cgroup-devices-missing",
    "cgroup-namespace-host",
    "mesos-agent-renewed",
    "mesos-limit-missing",
    "mesos-work-dir-in-layer",
    "mounts-not-shared",
    "network-settings-read-only",
    "node-degraded",
    "preload-failed",
    "securityfs-missing",
    "setting-overridden",
    "tmp-not-mounted",
];
