//! The errors of `dind-launch`.

use dind_contract::{Code, ExitCode};

/// The duration in a flag or variable is invalid.
pub const DURATION_INVALID: Code = Code::new("duration-invalid", ExitCode::Config);
/// `LOG` is not `stdio` or `file`.
pub const LOG_INVALID: Code = Code::new("log-invalid", ExitCode::Config);
/// `DIND_RUN_FLAGS` is not a boolean.
pub const RUN_FLAGS_INVALID: Code = Code::new("run-flags-invalid", ExitCode::Config);
/// `DIND_ALLOW_HOST_DEVICES` is not a boolean.
pub const HOST_DEVICES_INVALID: Code = Code::new("host-devices-invalid", ExitCode::Config);
/// `--for` names no engine that flags are known for.
pub const RUN_FLAGS_FOR_INVALID: Code = Code::new("run-flags-for-invalid", ExitCode::Config);
/// A signal's name or number is unknown.
pub const SIGNAL_INVALID: Code = Code::new("signal-invalid", ExitCode::Config);
/// `DIND_ENGINE_RESTART` is not a restart policy.
pub const RESTART_INVALID: Code = Code::new("restart-invalid", ExitCode::Config);
/// `DOCKER_DAEMON_ARGS` cannot be split into words, or the value of a flag is missing.
pub const DAEMON_ARGS_INVALID: Code = Code::new("daemon-args-invalid", ExitCode::Config);
/// A flag, or a key of `daemon.json`, that the node sets itself.
pub const DAEMON_ARG_OWNED: Code = Code::new("daemon-arg-owned", ExitCode::Config);
/// A setting of the engine and a variable of the node decide the same thing differently.
pub const SETTING_CONTRADICTS: Code = Code::new("setting-contradicts", ExitCode::Config);
/// The engine would listen on the network for everybody.
pub const DAEMON_ARG_UNSAFE: Code = Code::new("daemon-arg-unsafe", ExitCode::Config);
/// `DIND_INSECURE_TCP` is not a boolean.
pub const INSECURE_TCP_INVALID: Code = Code::new("insecure-tcp-invalid", ExitCode::Config);
/// `DOCKER_TLS_CERTDIR` is not an absolute path.
pub const TLS_DIRECTORY_INVALID: Code = Code::new("tls-directory-invalid", ExitCode::Config);
/// `DOCKER_TLS_SAN` holds something else than names and addresses.
pub const TLS_SAN_INVALID: Code = Code::new("tls-san-invalid", ExitCode::Config);
/// The CA in the directory cannot sign: its key is missing, does not fit or is unknown, or it has expired.
pub const TLS_CA_UNUSABLE: Code = Code::new("tls-ca-unusable", ExitCode::Config);
/// The user's own certificate for the engine cannot be used.
pub const TLS_CERTIFICATE_UNUSABLE: Code = Code::new("tls-certificate-unusable", ExitCode::Config);
/// A file or the directory of the certificates cannot be read.
pub const TLS_NOT_READ: Code = Code::new("tls-not-read", ExitCode::Io);
/// Certificates cannot be written.
pub const TLS_NOT_WRITTEN: Code = Code::new("tls-not-written", ExitCode::CannotCreate);
/// Another process has had the directory of the certificates locked for too long.
pub const TLS_BUSY: Code = Code::new("tls-busy", ExitCode::InUse);
/// The user's `daemon.json` cannot be read or parsed.
pub const DAEMON_JSON_INVALID: Code = Code::new("daemon-json-invalid", ExitCode::Config);
/// `DIND_EVIDENCE` is not an absolute path, or `DIND_EVIDENCE_SIZE` is not a size.
pub const EVIDENCE_INVALID: Code = Code::new("evidence-invalid", ExitCode::Config);
/// `DIND_STORAGE_RECLAIM` is not a percentage.
pub const RECLAIM_INVALID: Code = Code::new("reclaim-invalid", ExitCode::Config);
/// `DIND_MESOS_DEFAULTS` is not a boolean.
pub const MESOS_DEFAULTS_INVALID: Code = Code::new("mesos-defaults-invalid", ExitCode::Config);
/// The directory of image archives cannot be read, or `DIND_PRELOAD_WAIT` is not a boolean.
pub const PRELOAD_INVALID: Code = Code::new("preload-invalid", ExitCode::Config);
/// An archive did not load.
pub const PRELOAD_FAILED: Code = Code::new("preload-failed", ExitCode::Io);
/// `dockerd` or `containerd` is not installed.
pub const ENGINE_MISSING: Code = Code::new("engine-missing", ExitCode::Config);
/// The engine is older than the oldest supported one.
pub const ENGINE_UNSUPPORTED: Code = Code::new("engine-unsupported", ExitCode::Config);
/// dockerd or containerd exited unexpectedly.
pub const ENGINE_DIED: Code = Code::new("engine-died", ExitCode::Unavailable);
/// The engine did not answer in time.
pub const ENGINE_SLOW: Code = Code::new("engine-slow", ExitCode::Unavailable);
/// dockerd did not take over the settings of a reload.
pub const RELOAD_REFUSED: Code = Code::new("reload-refused", ExitCode::Config);
/// Another node has the data root.
pub const DATA_ROOT_IN_USE: Code = Code::new("data-root-in-use", ExitCode::InUse);
/// Another engine or launcher runs in this container.
pub const ALREADY_RUNNING: Code = Code::new("already-running", ExitCode::InUse);
/// Another node runs in this network namespace.
pub const NETWORK_IN_USE: Code = Code::new("network-in-use", ExitCode::InUse);
/// `DIND_STAGES` names something else than programs, or one twice.
pub const STAGES_INVALID: Code = Code::new("stages-invalid", ExitCode::Config);
/// A sibling tool is missing.
pub const TOOL_MISSING: Code = Code::new("tool-missing", ExitCode::Config);
/// A sibling tool could not produce a plan; its own code is the first of `causes`.
pub const SETTINGS_REFUSED: Code = Code::new("settings-refused", ExitCode::Config);
/// A verb of a sibling tool failed; its own code is the first of `causes`.
pub const STAGE_FAILED: Code = Code::new("stage-failed", ExitCode::Config);
/// A sibling tool broke the contract: no document, another schema, a signal, no end in time.
pub const TOOL_BROKEN: Code = Code::new("tool-broken", ExitCode::Io);
/// The program of the main process does not exist.
pub const COMMAND_NOT_FOUND: Code = Code::new("command-not-found", ExitCode::Config);
/// The program of the main process cannot be executed.
pub const COMMAND_NOT_EXECUTABLE: Code = Code::new("command-not-executable", ExitCode::Config);
/// The caller is not root, and what it asks for is root's.
pub const NOT_ROOT: Code = Code::new("not-root", ExitCode::Privilege);
/// `CAP_SYS_ADMIN` is missing.
pub const CAP_SYS_ADMIN_MISSING: Code = Code::new("cap-sys-admin-missing", ExitCode::Privilege);
/// `DIND_HOLD` is not a boolean, or a node that is to wait was given a command.
pub const HOLD_INVALID: Code = Code::new("hold-invalid", ExitCode::Config);
/// The node does not wait for a main process.
pub const NOT_HELD: Code = Code::new("not-held", ExitCode::Unavailable);
/// The node has got its main process.
pub const ALREADY_CLAIMED: Code = Code::new("already-claimed", ExitCode::InUse);
/// Required features are missing.
pub const NODE_CANNOT_WORK: Code = Code::new("node-cannot-work", ExitCode::Privilege);
/// `DIND_USERNS` is not `keep` or `unshare`.
pub const USERNS_INVALID: Code = Code::new("userns-invalid", ExitCode::Config);
/// A node in namespaces of its own cannot be a bridged one.
pub const BRIDGED_NOT_ROOTLESS: Code = Code::new("bridged-not-rootless", ExitCode::Config);
/// The kernel refuses a namespace, its users, or a mount in it.
pub const NAMESPACES_REFUSED: Code = Code::new("namespaces-refused", ExitCode::Privilege);
/// The data root holds files of another user than the node's root.
pub const DATA_ROOT_FOREIGN: Code = Code::new("data-root-foreign", ExitCode::Config);
/// The files that the node writes to cannot be copied for it.
pub const FILES_NOT_COPIED: Code = Code::new("files-not-copied", ExitCode::CannotCreate);
/// pasta is not installed.
pub const PASTA_MISSING: Code = Code::new("pasta-missing", ExitCode::Config);
/// pasta has ended, or has no device for its link.
pub const PASTA_FAILED: Code = Code::new("pasta-failed", ExitCode::Io);
/// `DIND_TMP` is not a place for /tmp.
pub const TMP_INVALID: Code = Code::new("tmp-invalid", ExitCode::Config);
/// A mount, a directory or a cgroup file cannot be set up.
pub const PREPARE_FAILED: Code = Code::new("prepare-failed", ExitCode::Io);
/// The cgroup's processes keep coming back, or its controllers cannot be delegated.
pub const CGROUP_BUSY: Code = Code::new("cgroup-busy", ExitCode::Io);
/// A call failed without which no process can be supervised.
pub const INIT_FAILED: Code = Code::new("init-failed", ExitCode::Io);
/// The record cannot be read or written.
pub const RECORD_UNUSABLE: Code = Code::new("record-unusable", ExitCode::Io);
/// `--to` was given for a form that is no file.
pub const FILE_INVALID: Code = Code::new("file-invalid", ExitCode::Config);
/// A file that was asked for cannot be written.
pub const FILE_NOT_WRITTEN: Code = Code::new("file-not-written", ExitCode::CannotCreate);
/// No launcher runs in this container.
pub const NOT_RUNNING: Code = Code::new("not-running", ExitCode::Unavailable);
/// The node is still being started.
pub const NOT_READY: Code = Code::new("not-ready", ExitCode::Unavailable);
/// The node runs, but is unhealthy.
pub const NOT_HEALTHY: Code = Code::new("not-healthy", ExitCode::Unavailable);
/// The node has ended.
pub const NODE_ENDED: Code = Code::new("node-ended", ExitCode::Unavailable);
/// The node was not ready in time.
pub const WAIT_TIMED_OUT: Code = Code::new("wait-timed-out", ExitCode::InUse);
/// Inner containers still run.
pub const CONTAINERS_LEFT: Code = Code::new("containers-left", ExitCode::InUse);
/// `DIND_ROOT` names another machine, and this verb would change it; or the path of `--root` is not UTF-8.
pub const ROOT_IS_FAKE: Code = Code::new("root-is-fake", ExitCode::Config);

/// All codes of errors; a test compares them with the README.
pub const CODES: &[Code] = &[
    DURATION_INVALID,
    LOG_INVALID,
    RUN_FLAGS_INVALID,
    HOST_DEVICES_INVALID,
    RUN_FLAGS_FOR_INVALID,
    SIGNAL_INVALID,
    RESTART_INVALID,
    DAEMON_ARGS_INVALID,
    DAEMON_ARG_OWNED,
    SETTING_CONTRADICTS,
    DAEMON_ARG_UNSAFE,
    INSECURE_TCP_INVALID,
    TLS_DIRECTORY_INVALID,
    TLS_SAN_INVALID,
    TLS_CA_UNUSABLE,
    TLS_CERTIFICATE_UNUSABLE,
    TLS_NOT_READ,
    TLS_NOT_WRITTEN,
    TLS_BUSY,
    DAEMON_JSON_INVALID,
    EVIDENCE_INVALID,
    RECLAIM_INVALID,
    MESOS_DEFAULTS_INVALID,
    PRELOAD_INVALID,
    PRELOAD_FAILED,
    ENGINE_MISSING,
    ENGINE_UNSUPPORTED,
    ENGINE_DIED,
    ENGINE_SLOW,
    RELOAD_REFUSED,
    DATA_ROOT_IN_USE,
    ALREADY_RUNNING,
    NETWORK_IN_USE,
    STAGES_INVALID,
    TOOL_MISSING,
    SETTINGS_REFUSED,
    STAGE_FAILED,
    TOOL_BROKEN,
    COMMAND_NOT_FOUND,
    COMMAND_NOT_EXECUTABLE,
    NOT_ROOT,
    CAP_SYS_ADMIN_MISSING,
    HOLD_INVALID,
    NOT_HELD,
    ALREADY_CLAIMED,
    NODE_CANNOT_WORK,
    USERNS_INVALID,
    BRIDGED_NOT_ROOTLESS,
    NAMESPACES_REFUSED,
    DATA_ROOT_FOREIGN,
    FILES_NOT_COPIED,
    PASTA_MISSING,
    PASTA_FAILED,
    TMP_INVALID,
    PREPARE_FAILED,
    CGROUP_BUSY,
    INIT_FAILED,
    RECORD_UNUSABLE,
    FILE_INVALID,
    FILE_NOT_WRITTEN,
    NOT_RUNNING,
    NOT_READY,
    NOT_HEALTHY,
    NODE_ENDED,
    WAIT_TIMED_OUT,
    CONTAINERS_LEFT,
    ROOT_IS_FAKE,
];

/// All codes of warnings; a test compares them with the README.
pub const WARNINGS: &[&str] = &[
    "cgroup-devices-missing",
    "cgroup-namespace-host",
    "data-root-not-locked",
    "evidence-cut",
    "evidence-missing",
    "inner-containers-cut-off",
    "mesos-agent-renewed",
    "mesos-limit-missing",
    "mesos-work-dir-in-layer",
    "mounts-not-shared",
    "name-server-out-of-reach",
    "network-settings-read-only",
    "node-degraded",
    "preload-failed",
    "reclaim-failed",
    "published-ports-unanswered",
    "restart-needed",
    "securityfs-missing",
    "seed-not-used",
    "setting-ignored",
    "setting-overridden",
    "tcp-closed",
    "tcp-insecure",
    "tls-expires",
    "tls-key-readable",
    "tls-not-locked",
    "oom-score-high",
    "tmp-not-mounted",
    "variable-unknown",
];
