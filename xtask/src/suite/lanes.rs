//! Which tiers run at the same time. Those with an engine mostly wait for it, and leave the processors to those without.

use super::programs::Programs;
use super::tier::{Options, Tier};
use super::{engine, guests};
use dind_lab::{Result, Workspace, progress};
use std::thread;
use std::time::Instant;

/// A tier's name with the seconds that it took, and what became of it.
pub(super) type Outcome = (String, std::result::Result<(), String>);

/// What all tiers get.
#[derive(Debug)]
pub(super) struct Lanes<'a> {
    pub(super) present: &'a [String],
    pub(super) temporary: (&'static str, String),
    pub(super) options: &'a Options<'a>,
}

/// The tiers in the order in which they run; each group's lanes at the same time.
///
/// Unit tests come first: what they find is found before a node has started. An emulated guest takes every processor that there is, and
/// what runs in it has promises of seconds to keep.
pub(super) fn of(tiers: &[Tier]) -> Vec<Vec<Vec<Tier>>> {
    let chosen = |wanted: &[Tier]| -> Vec<Tier> {
        tiers.iter().copied().filter(|tier| wanted.contains(tier)).collect()
    };
    let groups: [&[&[Tier]]; 3] = [
        &[&[Tier::Unit]],
        &[&[Tier::Image, Tier::Outside, Tier::Mesos], &[Tier::Stub, Tier::Netns, Tier::Root]],
        &[&[Tier::Vm]],
    ];
    let lanes = |group: &&[&[Tier]]| -> Vec<Vec<Tier>> {
        group.iter().map(|lane| chosen(lane)).filter(|lane| !lane.is_empty()).collect()
    };
    groups.iter().map(lanes).filter(|group| !group.is_empty()).collect()
}

impl Lanes<'_> {
    /// The test programs, for a thread's own workspace.
    pub(super) fn programs<'a>(&'a self, workspace: &'a Workspace) -> Programs<'a> {
        Programs {
            workspace,
            present: self.present,
            together: self.options.tiers(),
            temporary: self.temporary.clone(),
            extra: self.options.extra,
        }
    }

    /// Runs a group: its lanes at the same time, the tiers of a lane one after the other, whatever becomes of those before.
    pub(super) fn run(&self, workspace: &Workspace, group: &[Vec<Tier>]) -> Vec<Outcome> {
        let Some((first, others)) = group.split_first() else { return Vec::new() };
        thread::scope(|scope| {
            let beside = |lane: &Vec<Tier>| {
                let lane = lane.clone();
                scope.spawn(move || match Workspace::open() {
                    Ok(workspace) => self.lane(&workspace, &lane),
                    Err(error) => vec![("open the workspace".to_owned(), Err(error.to_string()))],
                })
            };
            // All of them, before the first one runs here.
            let others: Vec<_> = others.iter().map(beside).collect();
            let mut outcomes = self.lane(workspace, first);
            for other in others {
                let panicked = |_| vec![("a lane".to_owned(), Err("it panicked".to_owned()))];
                outcomes.extend(other.join().unwrap_or_else(panicked));
            }
            outcomes
        })
    }

    fn lane(&self, workspace: &Workspace, tiers: &[Tier]) -> Vec<Outcome> {
        let programs = self.programs(workspace);
        let one = |tier: &Tier| {
            progress::heading(&format!("tier {}", tier.name()));
            let start = Instant::now();
            let outcome = self.tier(&programs, *tier).map_err(|error| error.to_string());
            (format!("{:7} {:4} s", tier.name(), start.elapsed().as_secs()), outcome)
        };
        tiers.iter().map(one).collect()
    }

    fn tier(&self, programs: &Programs, tier: Tier) -> Result<()> {
        match tier {
            Tier::Unit => programs.unit(self.options.arch),
            Tier::Image | Tier::Outside | Tier::Mesos => engine::run(programs, tier, self.options),
            Tier::Vm => guests::run(programs.workspace, self.options),
            _ => programs.run(tier, &[])?.1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Tier, of};
    use clap::ValueEnum;

    #[test]
    fn every_tier_runs_once_and_guests_have_the_machine_for_themselves() {
        let all = of(Tier::value_variants());
        let flat: Vec<_> = all.iter().flatten().flatten().map(|tier| tier.name()).collect();
        assert_eq!(flat.len(), Tier::value_variants().len(), "{flat:?}");
        assert_eq!(all.last(), Some(&vec![vec![Tier::Vm]]));
        assert_eq!(of(&[Tier::Vm, Tier::Netns]), [[vec![Tier::Netns]], [vec![Tier::Vm]]]);
    }
}
