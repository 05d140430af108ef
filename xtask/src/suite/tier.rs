//! The tiers, the test programs of each, and how they are to run.

use clap::ValueEnum;
use dind_lab::arch::Arch;
use dind_lab::base::{Base, Release};
use dind_lab::guest::Guest;
use std::path::Path;

/// What a group of tests needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tier {
    /// Nothing: tables and captured machines.
    Unit,
    /// The static binaries, with stubs beside them.
    Stub,
    /// Own network namespaces.
    Netns,
    /// Root and loop devices.
    Root,
    /// An engine and the image.
    Image,
    /// Engines of other makes around the node: podman, containerd.
    Outside,
    /// An engine and a Mesos cluster of nodes.
    Mesos,
    /// The image in a virtual machine: a host's kernel, cgroup v2, every capability.
    Vm,
}

impl Tier {
    /// Whether a suite can be chosen in it.
    fn has(self, suite: &str) -> bool {
        match self {
            Self::Vm => !NOT_IN_GUESTS.contains(&suite),
            tier => tier.programs().contains(&suite),
        }
    }

    /// The test programs in `tests/tests` that belong to the tier.
    pub(super) fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Unit => &[],
            Self::Stub => &["contract", "docs", "chain", "init"],
            Self::Netns => &["netns"],
            Self::Root => &["loopback", "certificates"],
            Self::Image => &[
                "matrix",
                "engine_versions",
                "image",
                "cgroups",
                "engine",
                "net_image",
                "seeds",
                "storage_image",
                "reclaim",
                "reaper",
                "reduced",
                "rootless",
                "faults",
                "stop",
                "tls",
                "users",
                "dropin",
                "recipes",
                "nesting",
                "readme",
                "observe",
                "piecemeal",
                "dist",
            ],
            Self::Outside => &["podman", "containerd"],
            Self::Mesos => &["mesos", "release"],
            Self::Vm => &["vm"],
        }
    }

    pub(super) fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// How many tests run at once for each processor: those with stubs wait more than they work, and real engines keep processors busy.
    pub(super) fn threads_per_processor(self) -> usize {
        if self == Self::Stub { 2 } else { 1 }
    }
}

/// A suite of the tiers image and outside by its name.
///
/// # Errors
/// There is none.
pub(crate) fn suite_named(name: &str) -> Result<&'static str, String> {
    let all = [Tier::Image, Tier::Outside].map(Tier::programs).concat();
    let found = all.iter().find(|suite| **suite == name);
    found.copied().ok_or_else(|| format!("expected one of {}", all.join(", ")))
}

/// The one with clients: other images, and programs of package registries.
pub(super) const OF_CLIENTS: &str = "recipes";

/// The one that has what a release consists of.
pub(super) const OF_PACKAGES: &str = "dist";

/// Those that no guest has: they need these clients, packages, or the checkout.
pub(super) const NOT_IN_GUESTS: [&str; 4] = [OF_CLIENTS, "piecemeal", "dist", "readme"];

/// The tiers whose nodes have an engine of one's choice.
const TIERS_OF_NODES: [Tier; 3] = [Tier::Image, Tier::Outside, Tier::Vm];

/// What an engine writes its firewall rules with (`DIND_NET_FIREWALL`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Firewall {
    /// The programs of iptables.
    Iptables,
    /// The program nft.
    Nftables,
}

impl Firewall {
    /// As the variable has it.
    pub(super) fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}

/// How to run the suites.
#[derive(Debug)]
pub(crate) struct Options<'a> {
    /// All where this is empty.
    pub(crate) tiers: &'a [Tier],
    /// The processor that everything is built for; another than this machine's in the tiers `unit` and `vm` alone.
    pub(crate) arch: Arch,
    /// The base of the image to build.
    pub(crate) base: Base<'a>,
    /// Where its engine comes from, if not from packages of the base.
    pub(crate) engine_archive: Option<&'a Path>,
    /// What the nodes are asked to write their firewall rules with.
    pub(crate) firewall: Option<Firewall>,
    /// An existing image to test instead of a new one.
    pub(crate) image: Option<&'a str>,
    /// The virtual machines of the `vm` tier; the usual one where this is empty.
    pub(crate) guests: &'a [Guest],
    /// Suites of the tiers image and outside to run, in place of all; in guests, in place of their own.
    pub(crate) suites: &'a [&'static str],
    /// Whether the support table gets the outcome.
    pub(crate) record: bool,
    /// For the test programs: filters, `--nocapture`.
    pub(crate) extra: &'a [String],
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            tiers: &[],
            arch: Arch::HOST,
            base: Base::Usual,
            engine_archive: None,
            firewall: None,
            image: None,
            guests: &[],
            suites: &[],
            record: false,
            extra: &[],
        }
    }
}

impl Options<'_> {
    /// The arguments that choose the same nodes again, each with a space before it.
    pub(super) fn flags(&self) -> String {
        let mut flags = self.base.flags();
        if let Some(name) = self.engine_archive.and_then(Path::file_name) {
            flags += &format!(" --engine-archive {}", name.display());
        }
        if let Some(firewall) = self.firewall {
            flags += &format!(" --firewall {}", firewall.name());
        }
        flags
    }

    /// Refuses what a tier would leave out.
    ///
    /// # Errors
    /// A tier has no node of this engine.
    pub(super) fn check(&self) -> Result<(), String> {
        let chosen = [
            ("--engine-archive", self.engine_archive.is_some()),
            ("--firewall", self.firewall.is_some()),
            ("--suite", !self.suites.is_empty()),
        ];
        let Some((flag, _)) = chosen.into_iter().find(|(_, given)| *given) else { return Ok(()) };
        if let Some(tier) = self.tiers().iter().find(|tier| !TIERS_OF_NODES.contains(tier)) {
            let tiers = TIERS_OF_NODES.map(Tier::name).join(", ");
            return Err(format!(
                "cannot use {flag}: the tier {} has no such nodes\nhint: name one of {tiers}",
                tier.name()
            ));
        }
        let left_out = self.suites.iter().find(|suite| !self.tiers().iter().any(|tier| tier.has(suite)));
        if let Some(suite) = left_out {
            return Err(format!("cannot run the suite {suite}: none of the chosen tiers has it"));
        }
        let idle = |tier: &&Tier| !self.suites.iter().any(|suite| tier.has(suite));
        match self.tiers().iter().find(idle).filter(|_| !self.suites.is_empty()) {
            Some(tier) => Err(format!("cannot run the tier {}: it has none of the suites", tier.name())),
            None => Ok(()),
        }
    }

    /// Whether a suite of the tier image is to run.
    pub(super) fn chose(&self, suite: &str) -> bool {
        self.suites.is_empty() || self.suites.contains(&suite)
    }

    /// The tiers to run.
    pub(super) fn tiers(&self) -> &[Tier] {
        if self.tiers.is_empty() { Tier::value_variants() } else { self.tiers }
    }

    /// The guests' system: outside and inside the same engine.
    pub(super) fn release(&self) -> Release {
        if let Base::Release(release) = self.base { release } else { Release::Bookworm }
    }

    /// The guests to run.
    pub(super) fn guests(&self) -> &[Guest] {
        if self.guests.is_empty() { &[Guest::USUAL] } else { self.guests }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_are_refused_where_they_would_be_left_out() {
        for (tiers, suites, refused) in [
            (&[Tier::Image][..], &["users", "recipes"][..], None),
            (&[Tier::Image, Tier::Outside], &["users", "podman"], None),
            (&[Tier::Vm], &["users", "podman"], None),
            (&[Tier::Vm], &["recipes"], Some("the suite recipes")),
            (&[Tier::Image], &["users", "podman"], Some("the suite podman")),
            (&[Tier::Image, Tier::Outside], &["users"], Some("the tier outside")),
            (&[Tier::Unit], &["users"], Some("--suite")),
            (&[], &["users"], Some("--suite")),
        ] {
            let checked = Options { tiers, suites, ..Options::default() }.check();
            assert_eq!(checked.is_err(), refused.is_some(), "{tiers:?} {suites:?}: {checked:?}");
            assert!(refused.is_none_or(|words| checked.unwrap_err().contains(words)), "{tiers:?} {suites:?}");
        }
        assert_eq!(suite_named("users"), Ok("users"));
        assert!(suite_named("user").is_err());
    }
}
