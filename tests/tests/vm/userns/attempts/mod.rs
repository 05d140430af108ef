//! The attempts: a script, and how the machine sees that it worked. By what they are about:
//! `kernel`, `devices`, `files`, `processes`, `network`.

mod devices;
mod files;
mod kernel;
mod network;
mod processes;

use super::place::Place;

/// How the machine sees it.
pub(super) enum Seen {
    /// The script's output has the secret.
    Secret,
    /// This holds afterwards. The second undoes it, so that the next place starts as this one did.
    Effect(fn(&Place) -> bool, fn()),
}

/// One attempt.
pub(super) struct Attempt {
    pub(super) name: &'static str,
    pub(super) script: &'static str,
    pub(super) seen: Seen,
}

/// Brings an attempt into the form of the table.
const fn effect(name: &'static str, script: &'static str, holds: fn(&Place) -> bool, undo: fn()) -> Attempt {
    Attempt { name, script, seen: Seen::Effect(holds, undo) }
}

const fn secret(name: &'static str, script: &'static str) -> Attempt {
    Attempt { name, script, seen: Seen::Secret }
}

/// All of them, in the order of the table.
pub(super) fn all() -> impl Iterator<Item = &'static Attempt> {
    let parts =
        [kernel::ATTEMPTS, devices::ATTEMPTS, files::ATTEMPTS, processes::ATTEMPTS, network::ATTEMPTS];
    parts.into_iter().flatten()
}
