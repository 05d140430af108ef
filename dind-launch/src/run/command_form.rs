//! The forms of a command, as people know them from `docker:dind`: nothing, flags of dockerd, `dockerd …`,
//! `dockerd-entrypoint.sh …`, and any other program, which is the main process.
//!
//! The launcher starts dockerd itself in every form, with its checks and its settings: a dockerd that the main process starts would
//! be a second engine on the same data.

use crate::engine::daemon::Programs;
use crate::executable;
use crate::fault;
use crate::paths::ENTRYPOINT;
use dind_contract::Fault;
use dind_system::Root;
use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The engine's program.
const DOCKERD: &str = "dockerd";

/// Flags with which dockerd prints something, and starts nothing.
const PRINTING: [&str; 5] = ["--version", "-v", "--help", "-h", "--validate"];

/// The command line of a program that may have been called by the name of docker:dind's entrypoint: as `--entrypoint`, or by a
/// script. Then it is that of `run`.
pub fn arguments(mut given: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let Some(name) = given.next() else { return Vec::new() };
    if Path::new(&name).file_name().is_some_and(|base| base == ENTRYPOINT) {
        return ["dind-launch".into(), "run".into(), "--".into(), name].into_iter().chain(given).collect();
    }
    std::iter::once(name).chain(given).collect()
}

/// What a command asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// The engine is the service.
    Engine {
        /// The path of dockerd, where the command names one.
        program: Option<PathBuf>,
        /// Its flags, after those of `DOCKER_DAEMON_ARGS`.
        flags: Vec<String>,
    },
    /// The program runs beside the engine. Nothing at all: a Mesos agent, if there is one.
    Main(Vec<String>),
}

impl Form {
    /// The form of a command.
    #[must_use]
    pub fn of(root: &Root, mut command: &[String]) -> Self {
        let mut entrypoint = false;
        while let Some((_, rest)) = command.split_first().filter(|(first, _)| is_entrypoint(root, first)) {
            (command, entrypoint) = (rest, true);
        }
        match command.split_first() {
            None if entrypoint => Self::Engine { program: None, flags: Vec::new() },
            Some((first, _)) if first.starts_with('-') => {
                Self::Engine { program: None, flags: command.to_vec() }
            }
            Some((first, flags)) if Path::new(first).file_name().is_some_and(|name| name == DOCKERD) => {
                let program = first.contains('/').then(|| PathBuf::from(first));
                Self::Engine { program, flags: flags.to_vec() }
            }
            _ => Self::Main(command.to_vec()),
        }
    }

    /// The flags for dockerd.
    #[must_use]
    pub fn flags(&self) -> &[String] {
        match self {
            Self::Engine { flags, .. } => flags,
            Self::Main(_) => &[],
        }
    }

    /// Whether docker:dind would listen at `DOCKER_HOST`: it does unless dockerd or another program is named.
    #[must_use]
    pub fn listens_at_docker_host(command: &[String]) -> bool {
        let rest = command.iter().find(|word| !word.ends_with(ENTRYPOINT));
        rest.is_none_or(|word| word.starts_with('-'))
    }

    /// Finds the engine's programs: those on PATH, and the dockerd that the command names.
    ///
    /// # Errors
    /// [`fault::ENGINE_MISSING`]; [`fault::COMMAND_NOT_FOUND`] and [`fault::COMMAND_NOT_EXECUTABLE`] for a path.
    pub fn programs(&self, root: &Root) -> Result<Programs, Fault> {
        let mut programs = Programs::find(root)?;
        if let Self::Engine { program: Some(path), .. } = self {
            executable::check(root, &path.to_string_lossy())?;
            programs.dockerd.clone_from(path);
        }
        Ok(programs)
    }

    /// The command line of a dockerd that only prints something, such as its version; nothing for a node.
    ///
    /// # Errors
    /// Those of [`Form::programs`].
    pub fn printing(&self, root: &Root) -> Result<Option<Vec<String>>, Fault> {
        if !self.flags().iter().any(|flag| PRINTING.contains(&flag.as_str())) {
            return Ok(None);
        }
        let dockerd = self.programs(root)?.dockerd.to_string_lossy().into_owned();
        Ok(Some(std::iter::once(dockerd).chain(self.flags().iter().cloned()).collect()))
    }
}

/// Becomes the program. Returns only if that fails.
#[must_use]
pub fn become_program(words: &[String]) -> Fault {
    let (program, args) = words.split_first().map_or(("", words), |(first, rest)| (first.as_str(), rest));
    let error = Command::new(program).args(args).exec();
    let fault = fault::COMMAND_NOT_EXECUTABLE.cannot("execute", program, error);
    fault.hint("install the Docker Engine in the image again")
}

/// Whether a word is our entrypoint under docker:dind's name. A script of the user's with this name is a program as any other.
fn is_entrypoint(root: &Root, word: &str) -> bool {
    if Path::new(word).file_name().is_none_or(|name| name != ENTRYPOINT) {
        return false;
    }
    let file = if word.contains('/') {
        Some(root.path(word))
    } else {
        crate::paths::program(root, word).map(|path| if root.is_host() { path } else { root.path(path) })
    };
    let Some(target) = file.and_then(|file| fs::canonicalize(file).ok()) else { return true };
    let own = || fs::canonicalize("/proc/self/exe").ok();
    target.file_name().is_some_and(|name| name == "dind-launch") || own().is_some_and(|own| own == target)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str) -> Form {
        let words: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
        Form::of(&Root::default(), &words)
    }

    fn engine(program: Option<&str>, flags: &str) -> Form {
        let flags = flags.split_whitespace().map(str::to_owned).collect();
        Form::Engine { program: program.map(PathBuf::from), flags }
    }

    #[test]
    fn every_form_of_docker_dind_is_the_engine() {
        for (text, expected) in [
            ("--mtu=1400", engine(None, "--mtu=1400")),
            ("-D", engine(None, "-D")),
            ("--registry-mirror https://m", engine(None, "--registry-mirror https://m")),
            ("dockerd", engine(None, "")),
            ("dockerd --host=unix:///run/d.sock -G 123", engine(None, "--host=unix:///run/d.sock -G 123")),
            ("/opt/docker/dockerd -D", engine(Some("/opt/docker/dockerd"), "-D")),
            ("dockerd-entrypoint.sh", engine(None, "")),
            ("/usr/local/bin/dockerd-entrypoint.sh --mtu=1400", engine(None, "--mtu=1400")),
            ("dockerd-entrypoint.sh dockerd --mtu=1400", engine(None, "--mtu=1400")),
        ] {
            assert_eq!(form(text), expected, "{text}");
        }
    }

    #[test]
    fn any_other_program_is_the_main_process() {
        for (text, main) in [
            ("", ""),
            ("docker ps", "docker ps"),
            ("dockerd-entrypoint.sh docker ps", "docker ps"),
            ("sh -c dockerd", "sh -c dockerd"),
            ("dockerd-rootless.sh", "dockerd-rootless.sh"),
        ] {
            let main = main.split_whitespace().map(str::to_owned).collect();
            assert_eq!(form(text), Form::Main(main), "{text}");
        }
    }

    #[test]
    fn a_script_of_the_user_s_with_that_name_is_a_program() {
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join(ENTRYPOINT);
        fs::write(&script, "#!/bin/sh\n").unwrap();
        let text = script.to_str().unwrap();
        assert_eq!(form(text), Form::Main(vec![text.to_owned()]));
        fs::remove_file(&script).unwrap();
        fs::write(directory.path().join("dind-launch"), "").unwrap();
        std::os::unix::fs::symlink("dind-launch", &script).unwrap();
        assert_eq!(form(text), engine(None, ""));
    }

    #[test]
    fn the_name_of_the_entrypoint_is_a_run() {
        let of = |text: &str| arguments(text.split(' ').map(OsString::from)).join(" ".as_ref());
        let entrypoint = "/usr/local/bin/dockerd-entrypoint.sh";
        assert_eq!(
            *of(&format!("{entrypoint} --mtu=1400")),
            *format!("dind-launch run -- {entrypoint} --mtu=1400")
        );
        assert_eq!(of("dind-launch status"), "dind-launch status");
    }

    #[test]
    fn docker_host_counts_where_docker_dind_reads_it() {
        for (text, counts) in [
            ("", true),
            ("--mtu=1400", true),
            ("dockerd-entrypoint.sh", true),
            ("dockerd-entrypoint.sh -D", true),
            ("dockerd -D", false),
            ("dockerd-entrypoint.sh dockerd", false),
            ("docker ps", false),
        ] {
            let words: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
            assert_eq!(Form::listens_at_docker_host(&words), counts, "{text}");
        }
    }
}
