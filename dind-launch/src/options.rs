//! Parses flags and variables. Everything that can be wrong about them is found here, before anything changes.

use crate::cli::RunOptions;
use crate::engine::args::{self, DaemonArgs};
use crate::fault;
use crate::prepare::Tmp;
use crate::restart_policy::Policy;
use crate::rootless;
use crate::stages::{self, StageProgram};
use crate::tls::TlsOptions;
use dind_contract::cli::given;
use dind_contract::{Fault, value};
use dind_system::signal;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

/// Where the engine's log goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogTo {
    /// Nobody has said it: see [`Options::log_beside`].
    Undecided,
    /// To our stderr.
    Stderr,
    /// To [`crate::paths::LOG_FILE`].
    File,
    /// There as well, because stderr is the terminal of the main process.
    FileBesideTerminal,
}

/// How a node is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Directory of the sibling tools, if it was named.
    pub tools: Option<PathBuf>,
    /// The user's flags for dockerd.
    pub daemon_args: DaemonArgs,
    /// Where the engine's log goes.
    pub log: LogTo,
    /// How long the engine may take to answer.
    pub ready_timeout: Duration,
    /// How long the whole stop may take.
    pub stop_budget: Duration,
    /// What to do when dockerd or containerd dies.
    pub engine_restart: Policy,
    /// The number of the signal that asks the main process to stop; without one, the default depends on the main process.
    pub main_stop_signal: Option<i32>,
    /// A directory of image archives.
    pub preload: Option<PathBuf>,
    /// Whether the main process waits for them.
    pub preload_wait: bool,
    /// What lies at /tmp.
    pub tmp: Tmp,
    /// Where evidence goes, and its size as it was given.
    pub evidence: Option<(PathBuf, Option<String>)>,
    /// The share of the disk, in percent, above which unused images and build cache go.
    pub reclaim: Option<u8>,
    /// Whether the node waits for a main process that comes by `claim`.
    pub hold: bool,
    /// Programs that run between network and engine, in order.
    pub stages: Vec<StageProgram>,
    /// Whether a Mesos agent gets defaults that fit its container.
    pub mesos_defaults: bool,
    /// Who may reach the engine over TCP.
    pub tls: TlsOptions,
    /// Whether a node in a user namespace may have block devices of the machine.
    pub allow_host_devices: bool,
    /// Where the node's user namespace comes from.
    pub userns: rootless::Mode,
}

impl Options {
    /// Reads flags and variables.
    ///
    /// # Errors
    /// The fault of the first one that is invalid.
    pub fn read(text: &RunOptions) -> Result<Self, Fault> {
        Self::with_flags(text, &[])
    }

    /// As [`Options::read`], with flags for dockerd that the command has.
    ///
    /// # Errors
    /// Those of [`Options::read`].
    pub fn with_flags(text: &RunOptions, flags: &[String]) -> Result<Self, Fault> {
        let log = match given(text.log.as_ref()) {
            None => LogTo::Undecided,
            Some("stdio") => LogTo::Stderr,
            Some("file") => LogTo::File,
            Some(other) => {
                let fault = fault::LOG_INVALID.invalid("LOG", other, "expected `stdio` or `file`");
                return Err(fault.hint("set LOG=file for /var/log/docker.log, or unset it for stderr"));
            }
        };
        Ok(Self {
            tools: text.tools.clone().filter(|directory| !directory.as_os_str().is_empty()),
            daemon_args: args::parse(given(text.daemon_args.as_ref()).unwrap_or_default())?
                .then(args::of_command(flags)?),
            log,
            ready_timeout: duration("DIND_READY_TIMEOUT", text.ready_timeout.as_ref(), 60)?,
            stop_budget: duration("DIND_STOP_BUDGET", text.stop_budget.as_ref(), 9)?,
            engine_restart: given(text.engine_restart.as_ref()).map_or(Ok(Policy::No), Policy::parse)?,
            main_stop_signal: given(text.main_stop_signal.as_ref()).map(signal).transpose()?,
            preload: given(text.preload.as_ref()).map(PathBuf::from),
            preload_wait: given(text.preload_wait.as_ref()).map_or(Ok(true), preload_wait)?,
            tmp: Tmp::parse(text.tmp.as_ref())?,
            evidence: evidence(text)?,
            reclaim: reclaim(text.reclaim.as_ref())?,
            hold: hold(text.hold.as_ref())?,
            stages: given(text.stages.as_ref()).map_or(Ok(Vec::new()), stages::find)?,
            mesos_defaults: mesos_defaults(text.mesos_defaults.as_ref())?,
            tls: TlsOptions::read(&text.tls)?,
            allow_host_devices: allow_host_devices(text.allow_host_devices.as_ref())?,
            userns: rootless::mode(text.userns.as_ref())?,
        })
    }
}

impl Options {
    /// Decides where the log goes, now that it is known whether there is a main process: its terminal is not for the log.
    pub fn log_beside(&mut self, main: bool) {
        if self.log == LogTo::Undecided {
            let terminal = main && std::io::stderr().is_terminal();
            self.log = if terminal { LogTo::FileBesideTerminal } else { LogTo::Stderr };
        }
    }
}

fn duration(name: &str, text: Option<&String>, default_s: u64) -> Result<Duration, Fault> {
    let Some(text) = given(text) else { return Ok(Duration::from_secs(default_s)) };
    parse_duration(name, text)
        .map_err(|fault| fault.hint(format!("set {name}={default_s}s, or unset it for that default")))
}

fn parse_duration(name: &str, text: &str) -> Result<Duration, Fault> {
    match value::duration(text) {
        Ok(duration) if duration.is_zero() => Err("expected a duration above zero".to_owned()),
        other => other,
    }
    .map_err(|cause| fault::DURATION_INVALID.invalid(name, text, cause))
}

/// The value of `--timeout`.
///
/// # Errors
/// [`fault::DURATION_INVALID`].
pub fn timeout(text: Option<&String>) -> Result<Option<Duration>, Fault> {
    let parse = |text| parse_duration("--timeout", text);
    given(text).map(parse).transpose().map_err(|fault| fault.hint("write --timeout 30s, or leave it out"))
}

/// The value of `--interval`.
///
/// # Errors
/// [`fault::DURATION_INVALID`].
pub fn interval(text: Option<&String>) -> Result<Option<Duration>, Fault> {
    let parse = |text| parse_duration("--interval", text);
    given(text).map(parse).transpose().map_err(|fault| fault.hint("write --interval 5s, or leave it out"))
}

fn preload_wait(text: &str) -> Result<bool, Fault> {
    value::boolean(text).map_err(|cause| {
        let fault = fault::PRELOAD_INVALID.invalid("DIND_PRELOAD_WAIT", text, cause);
        fault.hint("set DIND_PRELOAD_WAIT=false to load the archives beside the main process")
    })
}

fn evidence(text: &RunOptions) -> Result<Option<(PathBuf, Option<String>)>, Fault> {
    let size = given(text.evidence_size.as_ref());
    if let Some(size) = size {
        value::bytes(size).map_err(|cause| {
            let fault = fault::EVIDENCE_INVALID.invalid("DIND_EVIDENCE_SIZE", size, cause);
            fault.hint("set DIND_EVIDENCE_SIZE=256MiB, or unset it for that default")
        })?;
    }
    let Some(directory) = given(text.evidence.as_ref()) else { return Ok(None) };
    if !directory.starts_with('/') {
        let fault = fault::EVIDENCE_INVALID.invalid("DIND_EVIDENCE", directory, "expected an absolute path");
        return Err(fault.hint(
            "mount a volume, and name where: --volume /srv/evidence:/evidence -e DIND_EVIDENCE=/evidence",
        ));
    }
    Ok(Some((directory.into(), size.map(str::to_owned))))
}

/// Reads `DIND_STORAGE_RECLAIM`.
///
/// # Errors
/// [`fault::RECLAIM_INVALID`].
pub fn reclaim(text: Option<&String>) -> Result<Option<u8>, Fault> {
    given(text).map(|text| value::percent(text).map_err(|cause| (text, cause))).transpose().map_err(
        |(text, cause)| {
            let fault = fault::RECLAIM_INVALID.invalid("DIND_STORAGE_RECLAIM", text, cause);
            fault.hint("set DIND_STORAGE_RECLAIM=85%, or unset it to keep all images")
        },
    )
}

fn mesos_defaults(text: Option<&String>) -> Result<bool, Fault> {
    let Some(text) = given(text) else { return Ok(true) };
    value::boolean(text).map_err(|cause| {
        let fault = fault::MESOS_DEFAULTS_INVALID.invalid("DIND_MESOS_DEFAULTS", text, cause);
        fault.hint("set DIND_MESOS_DEFAULTS=false to leave the agent's variables alone, or unset it")
    })
}

fn hold(text: Option<&String>) -> Result<bool, Fault> {
    let Some(text) = given(text) else { return Ok(false) };
    value::boolean(text).map_err(|cause| {
        let fault = fault::HOLD_INVALID.invalid("DIND_HOLD", text, cause);
        fault.hint("set DIND_HOLD=true for a node that is claimed later, or unset it")
    })
}

/// Reads `DIND_ALLOW_HOST_DEVICES`.
///
/// # Errors
/// [`fault::HOST_DEVICES_INVALID`].
pub fn allow_host_devices(text: Option<&String>) -> Result<bool, Fault> {
    let Some(text) = given(text) else { return Ok(false) };
    value::boolean(text).map_err(|cause| {
        let fault = fault::HOST_DEVICES_INVALID.invalid("DIND_ALLOW_HOST_DEVICES", text, cause);
        fault.hint("set DIND_ALLOW_HOST_DEVICES=true where the devices are meant for the node, or unset it")
    })
}

fn signal(text: &str) -> Result<i32, Fault> {
    signal::number(text).ok_or_else(|| {
        let expected = "expected the name or the number of a signal";
        let fault = fault::SIGNAL_INVALID.invalid("DIND_MAIN_STOP_SIGNAL", text, expected);
        fault.hint("set DIND_MAIN_STOP_SIGNAL=TERM; SIGUSR1, 10 and RTMIN+3 are signals, too")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_by_name_number_and_distance() {
        for (text, number) in
            [("TERM", 15), ("sigusr1", 10), ("9", 9), ("RTMIN+3", nix::libc::SIGRTMIN() + 3)]
        {
            assert_eq!(signal(text), Ok(number), "{text}");
        }
        for text in ["", "TERMINATE", "0", "-1", "65", "RTMIN+99", "SIG"] {
            assert_eq!(signal(text).unwrap_err().code, fault::SIGNAL_INVALID, "{text}");
        }
    }

    #[test]
    fn an_empty_variable_is_unset_and_a_wrong_one_is_named() {
        let empty =
            RunOptions { log: Some(String::new()), stop_budget: Some(" ".into()), ..RunOptions::default() };
        let options = Options::read(&empty).unwrap();
        assert_eq!((options.log, options.stop_budget), (LogTo::Undecided, Duration::from_secs(9)));
        assert!(options.mesos_defaults);
        let wrong = RunOptions { mesos_defaults: Some("maybe".into()), ..RunOptions::default() };
        assert_eq!(Options::read(&wrong).unwrap_err().code, fault::MESOS_DEFAULTS_INVALID);
        for text in ["0%", "100", "-5%", "8GiB"] {
            let fault = reclaim(Some(&text.to_owned())).unwrap_err();
            assert!(fault.code == fault::RECLAIM_INVALID && fault.hint.contains("85%"), "{fault:?}");
        }
        assert_eq!(reclaim(Some(&"85%".to_owned())), Ok(Some(85)));
        let wrong = RunOptions { ready_timeout: Some("soon".into()), ..RunOptions::default() };
        let fault = Options::read(&wrong).unwrap_err();
        assert_eq!(fault.code, fault::DURATION_INVALID);
        assert!(fault.message.contains("DIND_READY_TIMEOUT"), "{fault}");
    }
}
