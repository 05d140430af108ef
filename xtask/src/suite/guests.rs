//! The tier in virtual machines.

use super::engine::{FIREWALL, images, inner_version};
use super::tier::{Options, Tier};
use crate::escape_table;
use crate::support_table::{self, Row};
use dind_lab::engine::Engine;
use dind_lab::guest::{self, Guest, Run};
use dind_lab::{Result, Workspace};

/// The tier's own program.
const PROGRAM: &str = "vm";

/// Of it, what depends on the host: the rest of what it shares with the image tier does not.
const OF_THE_HOST: [&str; 5] = [
    "matrix::",
    "an_engine_that_was_started_unprepared",
    "reduced::the_reduced_set_makes_a_whole_node",
    "rootless::",
    "apparmor::",
];

/// What runs where the engine maps users and systemd gives containers their groups.
const OF_USER_NAMESPACES: &str = "userns::";

/// What runs where it maps users and their groups stay the machine's.
const OF_BLOCKED_GROUPS: &str = "blocked::";

/// What runs there of the image tier, with nodes in user namespaces: what differs most, on four nodes.
const OF_THE_IMAGE_TIER: [(&str, &[&str]); 2] = [
    ("users", &["everyday::"]),
    ("dropin", &["drain::a_drain_ends_with_the_last_container", "forms::gitlab_s_flags"]),
];

/// The set of `doctor --run-flags` whose flags the suites' nodes get in the place of `--privileged`.
const RUN_FLAGS: &str = "DIND_TEST_RUN_FLAGS";

/// The guests' own engines run the nodes; this machine's builds the image and is gone before they boot.
pub(super) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let engine = Engine::find_or_start(workspace)?;
    let image = images(workspace, &engine, Tier::Vm, options)?;
    let userns = options.guests().iter().any(|guest| guest.userns);
    let mut runs = runs(options, userns);
    for run in &mut runs {
        run.env.extend(options.firewall.map(|firewall| (FIREWALL, firewall.name())));
    }
    let suite = guest::Suite { node: &image, release: options.release(), arch: options.arch, runs: &runs };
    let inner = inner_version(workspace, &engine, &image, options)?;
    let outcomes = guest::run(workspace, engine, &suite, options.guests())?;
    for (guest, report) in outcomes.iter().filter(|_| options.record) {
        let report = report.as_ref().ok().cloned().unwrap_or_default();
        let Guest { kernel, cgroup, userns, .. } = guest;
        let how = if *userns { "--userns".to_owned() } else { format!("--cgroup {cgroup}") };
        let arch = if options.arch.is_host() { String::new() } else { format!(" --arch {}", options.arch) };
        let command = format!("cargo xtask test vm --kernel {kernel} {how}{arch}{}", options.flags());
        // Which is there where the test has passed.
        if !report.escapes_with.is_empty() {
            escape_table::record(workspace, &command, &inner, &report)?;
        }
        let suites = if options.suites.is_empty() {
            String::new()
        } else {
            format!(" --suite {}", options.suites.join(","))
        };
        let row = Row {
            command: command + &suites,
            processor: support_table::processor(&report.machine),
            kernel: report.linux,
            cgroup: cgroup.to_string(),
            outer: report.docker,
            inner: inner.clone(),
            tests: Vec::new(),
        };
        support_table::record(workspace, &row, &report.verdicts)?;
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

/// What to run: all that belongs to the guests, or what the caller has chosen.
fn runs(options: &Options, userns: bool) -> Vec<Run> {
    let own = |filters: &[String]| Run::of_suite(PROGRAM, filters);
    let named = |filter: &str| own(&[filter.to_owned()]);
    match (options.suites, options.extra) {
        ([], []) if userns => {
            let engine = vec!["--exec-opt", "native.cgroupdriver=cgroupfs"];
            let shared = OF_THE_IMAGE_TIER.iter().map(|(suite, tests)| {
                with_set(
                    Run::of_suite(suite, &tests.iter().copied().map(str::to_owned).collect::<Vec<_>>()),
                    userns,
                )
            });
            let mut runs = vec![named(OF_USER_NAMESPACES)];
            runs.extend(shared);
            runs.push(Run { engine, ..named(OF_BLOCKED_GROUPS) });
            runs
        }
        ([], []) => vec![own(&OF_THE_HOST.map(str::to_owned))],
        ([], extra) => vec![own(extra)],
        (suites, extra) => suites
            .iter()
            .map(|suite| {
                let run = with_set(Run::of_suite(suite, extra), userns);
                // As a private engine has it.
                if *suite == "podman" {
                    Run { engine: vec!["--add-runtime", "crun=/usr/bin/crun"], ..run }
                } else {
                    run
                }
            })
            .collect(),
    }
}

/// The same with nodes that have the flags of another set than `--privileged`: the caller's, or where the engine maps users, that for it.
fn with_set(mut run: Run, userns: bool) -> Run {
    // Emulated, a second's work takes ten.
    run.env.push(("DIND_READY_TIMEOUT", "3m".to_owned()));
    let chosen = std::env::var(RUN_FLAGS).ok();
    run.env.extend(chosen.or_else(|| userns.then(|| "userns".to_owned())).map(|set| (RUN_FLAGS, set)));
    run
}
