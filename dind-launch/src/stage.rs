//! The stages of a run, in one list: `plan` prints those of the start, and the record names each as it begins.

use crate::engine::daemon::DaemonKind;
use crate::options::Options;

/// A stage of the start or the stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The plans of the sibling tools; nothing has changed yet.
    Check,
    /// Cgroups, mounts and /tmp of the container.
    Prepare,
    /// `dind-storage apply`, with `dind-net apply` beside it.
    Storage,
    /// containerd, and the rest of `dind-net apply`.
    Net,
    /// `apply` of the user's own stages; only where there are any.
    Stages,
    /// The certificates of the engine's TCP socket, made beside what came before; only where it has one with TLS.
    Tls,
    /// dockerd, until it answers.
    Engine,
    /// The image archives; only where there are any to load.
    Preload,
    /// The start of the main process; only where there is one.
    Main,
    /// A daemon died and is started again.
    Restart(DaemonKind),
    /// The main process stops.
    StopMain,
    /// The inner containers stop.
    StopContainers,
    /// dockerd stops.
    StopEngine,
    /// containerd stops.
    StopContainerd,
    /// What is left of the evidence is written; only where there is any.
    CollectEvidence,
    /// Processes that are left stop.
    StopLeftovers,
    /// `release` of the user's own stages.
    ReleaseStages,
    /// `dind-net release`.
    ReleaseNet,
    /// `dind-storage release`.
    ReleaseStorage,
}

impl Stage {
    const START: [Self; 9] = [
        Self::Check,
        Self::Prepare,
        Self::Storage,
        Self::Net,
        Self::Stages,
        Self::Tls,
        Self::Engine,
        Self::Preload,
        Self::Main,
    ];

    /// The stages of a start with these options and this main process, in order.
    #[must_use]
    pub fn of_start(options: &Options, command: &[String]) -> Vec<Self> {
        let has = |stage: &Self| match stage {
            Self::Stages => !options.stages.is_empty(),
            Self::Tls => options.tls.directory.is_some(),
            Self::Preload => options.preload.is_some(),
            Self::Main => !command.is_empty(),
            _ => true,
        };
        Self::START.into_iter().filter(has).collect()
    }

    /// Whether a stage of the record belongs to the start.
    #[must_use]
    pub fn is_of_start(name: &str) -> bool {
        Self::START.iter().any(|stage| stage.name() == name)
    }

    /// Its name in plans and records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Prepare => "prepare",
            Self::Storage => "storage",
            Self::Net => "net",
            Self::Stages => "stages",
            Self::Tls => "tls",
            Self::Engine => "engine",
            Self::Preload => "preload",
            Self::Main => "main",
            Self::Restart(DaemonKind::Containerd) => "restart-containerd",
            Self::Restart(DaemonKind::Dockerd) => "restart-dockerd",
            Self::StopMain => "stop-main",
            Self::StopContainers => "stop-containers",
            Self::StopEngine => "stop-engine",
            Self::StopContainerd => "stop-containerd",
            Self::CollectEvidence => "collect-evidence",
            Self::StopLeftovers => "stop-leftovers",
            Self::ReleaseStages => "release-stages",
            Self::ReleaseNet => "release-net",
            Self::ReleaseStorage => "release-storage",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::RunOptions;

    fn names(preload: &str, command: &[&str]) -> Vec<&'static str> {
        let text = RunOptions { preload: Some(preload.to_owned()), ..RunOptions::default() };
        let command: Vec<_> = command.iter().map(|word| (*word).to_owned()).collect();
        let stages = Stage::of_start(&Options::read(&text).unwrap(), &command);
        stages.into_iter().map(Stage::name).collect()
    }

    #[test]
    fn a_start_has_the_stages_that_it_needs() {
        let always = ["check", "prepare", "storage", "net", "engine"];
        assert_eq!(names("", &[]), always);
        assert_eq!(names("", &["true"]), [&always[..], &["main"]].concat());
        assert_eq!(names("/preload", &["true"]), [&always[..], &["preload", "main"]].concat());
    }

    #[test]
    fn stages_of_the_stop_are_not_of_the_start() {
        assert!(Stage::is_of_start("check") && Stage::is_of_start("main"));
        for stage in [Stage::Restart(DaemonKind::Dockerd), Stage::StopMain, Stage::ReleaseNet] {
            assert!(!Stage::is_of_start(stage.name()), "{stage:?}");
        }
    }
}
