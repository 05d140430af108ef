//! What the suites left behind on the machine: [`Run`] knows what is its own, which fails a tier. Everything else that
//! appeared meanwhile is a note: machines have other users.
//!
//! `trace` has the kinds of things that are looked at.

mod run;
mod trace;

use crate::{Result, progress};
pub use run::{LINK_PREFIX, PREFIX, Run};
use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::{Duration, Instant};
use trace::Trace;

/// The kernel detaches a loop device in its own time after the last unmount.
const SETTLE_TIME: Duration = Duration::from_secs(5);

/// More than these are counted alone.
const MOST_NOTED: usize = 5;

/// What was on the machine when a run began.
#[derive(Debug)]
pub struct Snapshot<'a> {
    run: &'a Run,
    known: BTreeSet<Trace>,
}

impl<'a> Snapshot<'a> {
    /// Looks around.
    #[must_use]
    pub fn take(run: &'a Run) -> Self {
        Self { run, known: trace::all(&run.binaries) }
    }

    /// Fails with each thing of the run that was not there before and still is; notes once what others have made.
    pub fn check(&mut self) -> Result<()> {
        let deadline = Instant::now() + SETTLE_TIME;
        let (ours, others) = loop {
            let new = trace::all(&self.run.binaries).into_iter().filter(|trace| !self.known.contains(trace));
            let (ours, others): (Vec<_>, Vec<_>) = new.partition(|trace| self.run.owns(trace));
            if ours.is_empty() || Instant::now() > deadline {
                break (ours, others);
            }
            sleep(Duration::from_millis(50));
        };
        if let Some(note) = note(&others) {
            progress::note(&note);
        }
        self.known.extend(others);
        if ours.is_empty() { Ok(()) } else { Err(format!("left behind: {}", list(&ours)).into()) }
    }
}

fn note(others: &[Trace]) -> Option<String> {
    // Those of services and sessions come and go all the time, and say nothing.
    let others: Vec<_> = others.iter().filter(|trace| !matches!(trace, Trace::Cgroup(_))).collect();
    let (first, more) = others.split_at(others.len().min(MOST_NOTED));
    let more = if more.is_empty() { String::new() } else { format!(", and {} more", more.len()) };
    (!first.is_empty()).then(|| format!("appeared meanwhile, not ours: {}{more}", list(first)))
}

fn list(traces: &[impl ToString]) -> String {
    traces.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::{Trace, note};

    #[test]
    fn a_note_is_short_and_leaves_out_control_groups() {
        let link = |number: usize| Trace::Link(format!("veth{number}"));
        assert_eq!(note(&[Trace::Cgroup("/sys/fs/cgroup/a".into())]), None);
        let one = note(&[Trace::Cgroup("/sys/fs/cgroup/a".into()), link(0)]);
        assert_eq!(one.as_deref(), Some("appeared meanwhile, not ours: network interface veth0"));
        let many: Vec<_> = (0..7).map(link).collect();
        assert!(note(&many).unwrap().ends_with("network interface veth4, and 2 more"));
    }
}
