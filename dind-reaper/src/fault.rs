//! The errors and warnings of `dind-reaper`.

use dind_contract::{Code, ExitCode};

/// `DOCKER_HOST` does not name a unix socket.
pub const DOCKER_HOST_UNSUPPORTED: Code = Code::new("docker-host-unsupported", ExitCode::Config);
/// `DIND_STOP_BUDGET` is not a duration.
pub const BUDGET_INVALID: Code = Code::new("budget-invalid", ExitCode::Config);
/// `--root` with a verb that changes the machine.
pub const ROOT_IS_FAKE: Code = Code::new("root-is-fake", ExitCode::Config);
/// Nothing answers at the engine's socket.
pub const ENGINE_UNAVAILABLE: Code = Code::new("engine-unavailable", ExitCode::Unavailable);
/// The caller may not open the engine's socket.
pub const ENGINE_DENIED: Code = Code::new("engine-denied", ExitCode::Privilege);
/// The engine answers a request with an error.
pub const ENGINE_FAILED: Code = Code::new("engine-failed", ExitCode::Io);
/// Some containers still run at the end of the budget.
pub const CONTAINERS_LEFT: Code = Code::new("containers-left", ExitCode::InUse);
/// The kernel refuses signalfd, epoll or prctl.
pub const INIT_FAILED: Code = Code::new("init-failed", ExitCode::Io);

/// All errors; the README explains each.
pub const CODES: &[Code] = &[
    DOCKER_HOST_UNSUPPORTED,
    BUDGET_INVALID,
    ROOT_IS_FAKE,
    ENGINE_UNAVAILABLE,
    ENGINE_DENIED,
    ENGINE_FAILED,
    CONTAINERS_LEFT,
    INIT_FAILED,
];

/// The budget was too short to kill in, and was raised.
pub const BUDGET_RAISED: &str = "budget-raised";

/// All warnings; the README explains each.
pub const WARNINGS: &[&str] = &[BUDGET_RAISED];
