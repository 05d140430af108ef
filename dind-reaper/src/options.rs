//! Reads flags and variables: everything that can be wrong about them is found here, before anything is asked or done.

use crate::cli::{Budget, EngineArgs};
use crate::fault;
use dind_contract::cli::{environment_root, given};
use dind_contract::{Fault, Warning, value};
use dind_system::Root;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where Docker's engine listens by default; `unix://` alone means the same to Docker's own client.
const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// One second less than `docker stop` gives the outer container.
const DEFAULT_BUDGET: Duration = Duration::from_secs(9);

/// dockerd's own default.
const DEFAULT_DATA_ROOT: &str = "/var/lib/docker";

/// The shortest time in which an engine can be asked to kill, and report that it did.
pub const MIN_BUDGET: Duration = Duration::from_millis(500);

/// Flags and variables, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The engine's socket, below `--root`.
    pub socket: PathBuf,
    /// How long the whole stop may take, at least [`MIN_BUDGET`].
    pub budget: Duration,
    /// Where the engine writes down its containers.
    pub data_root: PathBuf,
    /// Values that were accepted only with a change.
    pub warnings: Vec<Warning>,
}

impl Options {
    /// Reads flags and variables of a verb that stops nothing: the budget is the default, and not used.
    ///
    /// # Errors
    /// Names the first invalid value.
    pub fn of_engine(engine: &EngineArgs, root: &Path) -> Result<Self, Fault> {
        let socket = socket(given(engine.host.as_ref()).unwrap_or("unix://"))?;
        let root = Root::at(root);
        let data_root = root.path(given(engine.data_root.as_ref()).unwrap_or(DEFAULT_DATA_ROOT));
        Ok(Self { socket: root.path(socket), budget: DEFAULT_BUDGET, data_root, warnings: Vec::new() })
    }

    /// Reads flags and variables of a stop.
    ///
    /// # Errors
    /// Names the first invalid value.
    pub fn of_stop(engine: &EngineArgs, budget: &Budget, root: &Path) -> Result<Self, Fault> {
        let mut options = Self::of_engine(engine, root)?;
        let Some(asked) = given(budget.budget.as_ref()).map(parse_budget).transpose()? else {
            return Ok(options);
        };
        if asked < MIN_BUDGET {
            let message = format!(
                "a stop budget of {}ms is too short: using {}ms",
                asked.as_millis(),
                MIN_BUDGET.as_millis()
            );
            let hint = "raise DIND_STOP_BUDGET; 9s fits the 10 seconds that `docker stop` waits";
            options.warnings.push(Warning::new(fault::BUDGET_RAISED, message, hint));
        }
        options.budget = asked.max(MIN_BUDGET);
        Ok(options)
    }
}

/// The root of a verb that changes the machine.
///
/// # Errors
/// `DIND_ROOT` names another one.
pub fn this_machine() -> Result<PathBuf, Fault> {
    let root = environment_root();
    if Root::at(&root).is_host() {
        return Ok(root);
    }
    let fault = fault::ROOT_IS_FAKE.cannot("stop containers below", root.display(), "it is not this machine");
    Err(fault.hint("unset DIND_ROOT, or use `dind-reaper plan`"))
}

fn socket(url: &str) -> Result<PathBuf, Fault> {
    let invalid = |cause| {
        let fault = fault::DOCKER_HOST_UNSUPPORTED.invalid("DOCKER_HOST", url, cause);
        fault.hint("set DOCKER_HOST or --host to the inner engine's socket: unix:///var/run/docker.sock")
    };
    match url.strip_prefix("unix://") {
        None => Err(invalid("only unix:// sockets are supported")),
        Some("") => Ok(PathBuf::from(DEFAULT_SOCKET)),
        Some(path) if path.starts_with('/') => Ok(PathBuf::from(path)),
        Some(_) => Err(invalid("expected an absolute path after unix://")),
    }
}

fn parse_budget(text: &str) -> Result<Duration, Fault> {
    value::duration(text).map_err(|cause| {
        let fault = fault::BUDGET_INVALID.invalid("DIND_STOP_BUDGET", text, cause);
        fault.hint(
            "set DIND_STOP_BUDGET or --budget to one second less than `docker stop` waits: 9s by default",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_absolute_unix_sockets() {
        assert_eq!(socket("unix:///run/d.sock"), Ok(PathBuf::from("/run/d.sock")));
        assert_eq!(socket("unix://"), Ok(PathBuf::from(DEFAULT_SOCKET)));
        for url in [
            "tcp://127.0.0.1:2375",
            "ssh://host",
            "/run/d.sock",
            "unix://run/d.sock",
            "fd://",
            "npipe:////./x",
        ] {
            let fault = socket(url).unwrap_err();
            assert_eq!(fault.code, fault::DOCKER_HOST_UNSUPPORTED, "{url}");
            assert!(fault.message.contains(url) && fault.hint.contains("unix://"), "{fault:?}");
        }
    }

    #[test]
    fn budgets() {
        assert_eq!(parse_budget("1500ms"), Ok(Duration::from_millis(1500)));
        for text in ["abc", "-1s", "9 s", "1.5s"] {
            assert_eq!(parse_budget(text).unwrap_err().code, fault::BUDGET_INVALID, "{text}");
        }
    }
}
