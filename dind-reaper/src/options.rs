//! Flags and variables, read: everything that can be wrong about them is found here, before anything is asked or done.

use crate::cli::Cli;
use crate::fault;
use dind_contract::cli::given;
use dind_contract::{Fault, Warning, value};
use dind_system::Root;
use std::path::PathBuf;
use std::time::Duration;

/// Where the engine listens unless it is told otherwise; also what `unix://` alone means to Docker's own client.
const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// One second less than `docker stop` gives the outer container.
const DEFAULT_BUDGET: Duration = Duration::from_secs(9);

/// The least time in which an engine can be asked to kill, and answer that it did.
pub const LEAST_BUDGET: Duration = Duration::from_millis(500);

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The engine's socket, on the machine that is looked at.
    pub socket: PathBuf,
    /// The time for everything, at least [`LEAST_BUDGET`].
    pub budget: Duration,
    /// What was asked for and not taken as it is.
    pub warnings: Vec<Warning>,
}

impl Options {
    /// Reads flags and variables.
    ///
    /// # Errors
    /// Names the first that cannot be read.
    pub fn read(cli: &Cli) -> Result<Self, Fault> {
        let socket = socket(given(cli.wanted.host.as_ref()).unwrap_or("unix://"))?;
        let asked = given(cli.wanted.budget.as_ref()).map_or(Ok(DEFAULT_BUDGET), budget)?;
        let mut warnings = Vec::new();
        if asked < LEAST_BUDGET {
            let message =
                format!("a budget of {}ms is taken as {}ms", asked.as_millis(), LEAST_BUDGET.as_millis());
            let hint = "raise DIND_STOP_BUDGET; 9s suits a `docker stop` of 10";
            warnings.push(Warning::new(fault::BUDGET_RAISED, message, hint));
        }
        let socket = Root::at(&cli.common.root).path(socket);
        Ok(Self { socket, budget: asked.max(LEAST_BUDGET), warnings })
    }

    /// As [`Options::read`], for the verbs that change the machine.
    ///
    /// # Errors
    /// Those, and a `--root` that is not `/`.
    pub fn read_to_change(cli: &Cli) -> Result<Self, Fault> {
        if !Root::at(&cli.common.root).is_host() {
            let fault = fault::ROOT_IS_FAKE.cannot(
                "change the machine below",
                cli.common.root.display(),
                "it is a captured one",
            );
            return Err(fault.hint("leave --root and DIND_ROOT out, or use `dind-reaper plan`"));
        }
        Self::read(cli)
    }
}

fn socket(url: &str) -> Result<PathBuf, Fault> {
    let refused = |cause| {
        let fault = fault::DOCKER_HOST_UNSUPPORTED.cannot("use DOCKER_HOST", url, cause);
        fault.hint("set DOCKER_HOST or --host to the inner engine's socket: unix:///var/run/docker.sock")
    };
    match url.strip_prefix("unix://") {
        None => Err(refused("it is no unix:// socket")),
        Some("") => Ok(PathBuf::from(DEFAULT_SOCKET)),
        Some(path) if path.starts_with('/') => Ok(PathBuf::from(path)),
        Some(_) => Err(refused("its path is not absolute")),
    }
}

fn budget(text: &str) -> Result<Duration, Fault> {
    value::duration(text).map_err(|cause| {
        let fault = fault::BUDGET_INVALID.cannot("read DIND_STOP_BUDGET", text, cause);
        fault.hint("set DIND_STOP_BUDGET or --budget to a duration: 9s, 500ms, 1m30s")
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
        assert_eq!(budget("1500ms"), Ok(Duration::from_millis(1500)));
        for text in ["abc", "-1s", "9 s", "1.5s"] {
            assert_eq!(budget(text).unwrap_err().code, fault::BUDGET_INVALID, "{text}");
        }
    }
}
