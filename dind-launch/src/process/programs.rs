//! When the programs of a start ran: the record has it, for its time line.

use dind_system::supervisor::ChildId;
use std::mem;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// When a program ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramTimes {
    /// The base name of its file, and its verb if it has one.
    pub name: String,
    /// When it was started.
    pub begun: Instant,
    /// When it exited; nothing while it runs.
    pub ended: Option<Instant>,
}

/// Those of a start, until they are taken.
#[derive(Debug, Default)]
pub(super) struct Programs {
    noted: Vec<(ChildId, ProgramTimes)>,
    /// The start is over.
    taken: bool,
}

impl Programs {
    pub(super) fn started(&mut self, child: ChildId, command: &Command, begun: Instant) {
        if !self.taken {
            self.noted.push((child, ProgramTimes { name: name(command), begun, ended: None }));
        }
    }

    pub(super) fn ended(&mut self, child: ChildId) {
        let noted = self.noted.iter_mut().find(|(other, _)| *other == child);
        if let Some((_, times)) = noted {
            times.ended = Some(Instant::now());
        }
    }

    pub(super) fn take(&mut self) -> Vec<ProgramTimes> {
        self.taken = true;
        mem::take(&mut self.noted).into_iter().map(|(_, times)| times).collect()
    }
}

/// No more of the words than the verb: flags may hold passwords, and `status` is shown around.
fn name(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let program = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy();
    let verb = command.get_args().next().map(|word| word.to_string_lossy());
    let is_verb = |word: &str| {
        word == "--version" || !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase())
    };
    match verb.filter(|word| is_verb(word)) {
        Some(verb) => format!("{program} {verb}"),
        None => program.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_a_verb_and_no_flags() {
        for (words, expected) in [
            (&["/opt/dind-net", "plan", "--root", "/"][..], "dind-net plan"),
            (&["dockerd", "--version"], "dockerd --version"),
            (&["dockerd", "--registry-mirror=https://user:password@host"], "dockerd"),
            (&["containerd", "/etc/config.toml"], "containerd"),
            (&["pasta"], "pasta"),
        ] {
            let mut command = Command::new(words[0]);
            assert_eq!(name(command.args(&words[1..])), expected);
        }
    }
}
