//! The errors and warnings of `dind-reaper`.

use dind_contract::{Code, ExitCode};

/// `DOCKER_HOST` does not name a unix socket.
pub const DOCKER_HOST_UNSUPPORTED: Code = Code::new("docker-host-unsupported", ExitCode::Config);
/// `DIND_STOP_BUDGET` is not a duration.
pub const BUDGET_INVALID: Code = Code::new("budget-invalid", ExitCode::Config);
/// `--timeout` is not a duration.
pub const TIMEOUT_INVALID: Code = Code::new("timeout-invalid", ExitCode::Config);
/// There is no directory for evidence, or its size is not one.
pub const EVIDENCE_INVALID: Code = Code::new("evidence-invalid", ExitCode::Config);
/// The directory for evidence cannot be made.
pub const EVIDENCE_UNWRITABLE: Code = Code::new("evidence-unwritable", ExitCode::CannotCreate);
/// The share above which space is reclaimed is not a percentage.
pub const RECLAIM_INVALID: Code = Code::new("reclaim-invalid", ExitCode::Config);
/// It cannot be seen how full the disk is.
pub const DISK_UNREADABLE: Code = Code::new("disk-unreadable", ExitCode::Io);
/// `DIND_ROOT` names another machine, and the verb changes this one.
pub const ROOT_IS_FAKE: Code = Code::new("root-is-fake", ExitCode::Config);
/// Nothing answers at the engine's socket.
pub const ENGINE_UNAVAILABLE: Code = Code::new("engine-unavailable", ExitCode::Unavailable);
/// The caller may not open the engine's socket.
pub const ENGINE_DENIED: Code = Code::new("engine-denied", ExitCode::Privilege);
/// The engine answers a request with an error.
pub const ENGINE_FAILED: Code = Code::new("engine-failed", ExitCode::Io);
/// Some containers still run at the end of the budget.
pub const CONTAINERS_LEFT: Code = Code::new("containers-left", ExitCode::InUse);
/// The engine still runs at the end of the budget.
pub const ENGINE_LEFT: Code = Code::new("engine-left", ExitCode::InUse);
/// The kernel refuses signalfd, epoll or prctl.
pub const INIT_FAILED: Code = Code::new("init-failed", ExitCode::Io);

/// All errors; the README explains each.
pub const CODES: &[Code] = &[
    DOCKER_HOST_UNSUPPORTED,
    BUDGET_INVALID,
    TIMEOUT_INVALID,
    EVIDENCE_INVALID,
    EVIDENCE_UNWRITABLE,
    RECLAIM_INVALID,
    DISK_UNREADABLE,
    ROOT_IS_FAKE,
    ENGINE_UNAVAILABLE,
    ENGINE_DENIED,
    ENGINE_FAILED,
    CONTAINERS_LEFT,
    ENGINE_LEFT,
    INIT_FAILED,
];

/// The budget was too short to kill in, and was raised.
pub const BUDGET_RAISED: &str = "budget-raised";

/// Not all evidence is there.
pub const EVIDENCE_CUT: &str = "evidence-cut";

/// The disk is fuller than it should be, and nothing is left to take.
pub const RECLAIM_EXHAUSTED: &str = "reclaim-exhausted";

/// All warnings; the README explains each.
pub const WARNINGS: &[&str] = &[BUDGET_RAISED, EVIDENCE_CUT, RECLAIM_EXHAUSTED];
