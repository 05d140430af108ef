//! The checks: pure functions of what was observed, each group of them in the file of its topic.
//!
//! A new check goes into that file, or into a new one that is called from here. It ends in [`Checks::ok`],
//! [`Checks::degraded`] or [`Checks::missing`]; the latter two take a hint, which is a docker flag or a command. What it has
//! to know of the machine becomes a field of [`Observed`], read in `facts`. Its name goes into the table of README.md, and
//! `tests/cases` shows it on captured machines.

mod cgroups;
mod devices;
mod kernel;
mod limits;
mod privileges;
mod programs;
mod reclaim;
mod rootless;
mod seeds;
mod socket;
mod tls;

use super::facts::{NodeArgs, Observed};
use super::report::Checks;
use dind_system::Root;

/// What `docker run` gives a container. `run` refuses to start without it.
pub(super) fn container(observed: &Observed, args: &NodeArgs, checks: &mut Checks) {
    privileges::evaluate(observed, checks);
    devices::evaluate(observed, args, checks);
    cgroups::evaluate(observed, checks);
    limits::evaluate_container(observed, checks);
    reclaim::evaluate(&args.reclaim, checks);
    if observed.in_user_namespace {
        checks.without_privileged();
    }
}

/// What the machine's kernel can do.
pub(super) fn kernel(observed: &Observed, checks: &mut Checks) {
    kernel::evaluate(observed, checks);
    limits::evaluate_kernel(observed, checks);
}

/// What a container has to have whose launcher makes the namespaces.
pub(super) use rootless::evaluate as outside;

/// What is installed and running.
pub(super) fn installation(root: &Root, observed: &Observed, args: &NodeArgs, checks: &mut Checks) {
    programs::evaluate(root, observed, checks);
    // By a sibling, which is not part of a captured machine.
    if root.is_host() {
        seeds::evaluate(args, checks);
    }
    socket::evaluate(root, checks);
    tls::evaluate(root, checks);
    if observed.in_user_namespace {
        checks.without_privileged();
    }
}
