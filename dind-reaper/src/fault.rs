//! The errors of `dind-reaper`.

use dind_contract::{Code, ExitCode};

/// `DOCKER_HOST` is no unix socket.
pub const DOCKER_HOST_UNSUPPORTED: Code = Code::new("docker-host-unsupported", ExitCode::Config);
/// `DIND_STOP_BUDGET` is no duration.
pub const BUDGET_INVALID: Code = Code::new("budget-invalid", ExitCode::Config);
/// `--root` is for plans.
pub const ROOT_IS_FAKE: Code = Code::new("root-is-fake", ExitCode::Config);
/// Nobody answers at the engine's socket.
pub const ENGINE_UNAVAILABLE: Code = Code::new("engine-unavailable", ExitCode::Unavailable);
/// The engine's socket may not be opened.
pub const ENGINE_DENIED: Code = Code::new("engine-denied", ExitCode::Privilege);
/// The engine answers, but not as it should.
pub const ENGINE_FAILED: Code = Code::new("engine-failed", ExitCode::Io);
/// Some containers still run at the budget's end.
pub const CONTAINERS_LEFT: Code = Code::new("containers-left", ExitCode::InUse);
/// The kernel refuses what a supervisor needs.
pub const INIT_FAILED: Code = Code::new("init-failed", ExitCode::Io);

/// All of them; the README explains each.
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

/// Warning: the budget was too small to kill in, and was raised.
pub const BUDGET_RAISED: &str = "budget-raised";

/// The warnings; the README explains each.
pub const WARNINGS: &[&str] = &[BUDGET_RAISED];
