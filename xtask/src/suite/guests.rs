//! The tier in virtual machines.

use super::engine::{images, inner_version};
use super::tier::{Options, Tier};
use crate::support_table::{self, Row};
use dind_lab::engine::Engine;
use dind_lab::guest::{self, Guest};
use dind_lab::{Result, Workspace};

/// Of the `vm` program, what depends on the host: the rest of what it shares with the image tier does not.
const OF_THE_HOST: [&str; 3] =
    ["matrix::", "an_engine_that_was_started_unprepared", "reduced::the_reduced_set_makes_a_whole_node"];

/// What runs where the engine maps users: with systemd's groups, and then without.
const OF_USER_NAMESPACES: [&str; 2] = ["userns::", "blocked::"];

/// The guests' own engines run the nodes; this machine's builds the image and is gone before they boot.
pub(super) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let engine = Engine::find_or_start(workspace)?;
    let image = images(workspace, &engine, Tier::Vm, options)?;
    let userns = options.guests().iter().any(|guest| guest.userns);
    let runs = match (options.extra, userns) {
        ([], false) => vec![OF_THE_HOST.map(str::to_owned).to_vec()],
        ([], true) => OF_USER_NAMESPACES.map(|filter| vec![filter.to_owned()]).to_vec(),
        (extra, _) => vec![extra.to_vec()],
    };
    let suite = guest::Suite { node: &image, release: options.release(), runs: &runs };
    let inner = inner_version(workspace, &engine, &image)?;
    let outcomes = guest::run(workspace, engine, &suite, options.guests())?;
    for (guest, report) in outcomes.iter().filter(|_| options.record) {
        let report = report.as_ref().ok().cloned().unwrap_or_default();
        let Guest { kernel, cgroup, userns } = guest;
        let how = if *userns { "--userns".to_owned() } else { format!("--cgroup {cgroup}") };
        let command = format!("cargo xtask test vm --kernel {kernel} {how}{}", options.base.flags());
        let (cgroup, inner) = (cgroup.to_string(), inner.clone());
        let (kernel, outer, tests) = (report.linux, report.docker, report.tests);
        support_table::record(workspace, &Row { command, kernel, cgroup, outer, inner, tests })?;
    }
    let failed: Vec<_> = outcomes
        .iter()
        .filter_map(|(guest, report)| match report {
            Ok(report) if report.passed() => None,
            Ok(report) => Some(format!("{guest}: {}", report.trouble())),
            Err(error) => Some(format!("{guest}: {error}")),
        })
        .collect();
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n").into()) }
}
