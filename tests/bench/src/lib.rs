//! `bench`: figures that hold on any machine. Everything that is compared is measured in turns, in one run.
//!
//! * `series`: tasks that take turns, and what was measured of them; `table`: what is printed of it
//! * `charts`: pictures of a real run
//! * the subjects: `storage`, `seeds`, `net`, `lifecycle`, `mesos`; `userns`, which a program of its own measures in a virtual machine
#![allow(clippy::print_stdout)]

mod charts;
mod lifecycle;
mod mesos;
mod net;
mod seeds;
mod series;
mod storage;
mod table;
mod userns;

use clap::ValueEnum;
use dind_lab::product::binaries;
use dind_lab::{Result, Workspace, progress, setup};
use std::fs;
use std::path::Path;

pub use charts::{Chart, run as charts};
pub use lifecycle::guest::run as in_guest;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Subject {
    /// Loop images: made, mounted, found up to date, written to. Images that are there at the start.
    Storage,
    /// The part of `storage` that is about seeds, alone.
    Seeds,
    /// The network: bridged, planned, found up to date.
    Net,
    /// Start and stop of a node against bare dockerd, in the image; and what the node costs.
    Lifecycle,
    /// The part of `lifecycle` that is about certificates, alone.
    Tls,
    /// The part of `lifecycle` that is about the firewall backends of engine 29 and later, alone.
    Firewall,
    /// Start and stop of a node in a user namespace against one with --privileged, in a virtual machine.
    Userns,
    /// A Mesos agent: from `docker run` to registered, and to its first task.
    Mesos,
}

/// Measures, and prints a table.
pub fn run(workspace: &Workspace, subjects: &[Subject], rounds: usize) -> Result<()> {
    let all = Subject::value_variants();
    for subject in if subjects.is_empty() { all } else { subjects } {
        match subject {
            // Measured with the rest of `lifecycle`, and of `storage`.
            Subject::Tls | Subject::Seeds | Subject::Firewall if subjects.is_empty() => {}
            Subject::Firewall => lifecycle::run_backends(workspace, rounds)?,
            Subject::Tls => lifecycle::run_tls(workspace, rounds)?,
            Subject::Storage => {
                storage::run(workspace, rounds)?;
                seeds::run(workspace, rounds)?;
            }
            Subject::Seeds => seeds::run(workspace, rounds)?,
            Subject::Net => net::run(workspace, rounds)?,
            Subject::Lifecycle => lifecycle::run(workspace, rounds)?,
            Subject::Userns => userns::run(workspace, rounds)?,
            Subject::Mesos => mesos::run(workspace, rounds)?,
        }
    }
    Ok(())
}

/// Measures a tool, freshly built, in a directory that is removed afterwards.
fn in_directory(
    workspace: &Workspace,
    tool: &str,
    rounds: usize,
    measure: impl FnOnce(&Path, &Path) -> Result<()>,
) -> Result<()> {
    setup::install(workspace, &[setup::BUILD, setup::TESTS])?;
    let program = binaries::build(workspace)?.join(tool);
    let directory = workspace.target.join("bench").join(tool);
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory)?;
    let directory = directory.canonicalize()?;
    progress::heading(&format!("measure {tool}, {rounds} rounds"));
    let measured = measure(&program, &directory);
    let removed = fs::remove_dir_all(&directory);
    measured?;
    Ok(removed?)
}
