//! Holds containerd still. Inner containers then end without dockerd hearing of it, and dockerd cannot signal them a second
//! time: both wait in containerd's socket. The shims, which are the containers' parents, go on.

use crate::tasks::Task;
use dind_system::Process;
use nix::libc::{SIGCONT, SIGSTOP};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// containerd, held until this is dropped.
#[derive(Debug, Default)]
pub(super) struct Hold(Vec<Process>);

impl Hold {
    /// Holds each containerd that runs one of the containers. One that has died, or may not be signalled, is left out.
    pub(super) fn of(tasks: &BTreeMap<String, Task>) -> Self {
        let sockets: BTreeSet<&Path> = tasks.values().map(|task| task.containerd.as_path()).collect();
        let running = sockets.into_iter().filter_map(|socket| Process::that_listens_at(socket).ok());
        let containerd = running.filter(|process| process.name().starts_with("containerd"));
        Self(containerd.filter(|process| process.signal(SIGSTOP).is_ok()).collect())
    }

    /// Whether no containerd was found.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        for process in &self.0 {
            let _ = process.signal(SIGCONT);
        }
    }
}
