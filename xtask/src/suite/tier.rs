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
}

/// A suite of the tiers image and outside by its name, if a guest has what it needs: no other images, no packages.
///
/// # Errors
/// It is none.
pub(crate) fn in_guests(name: &str) -> Result<&'static str, String> {
    let all = [Tier::Image, Tier::Outside].map(Tier::programs).concat();
    let fitting = all.into_iter().filter(|suite| !["recipes", "piecemeal", "dist"].contains(suite));
    let found = fitting.clone().find(|suite| *suite == name);
    let all = || fitting.collect::<Vec<_>>().join(", ");
    found.ok_or_else(|| format!("expected one of {}", all()))
}

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
    /// Suites of the image tier to run in them, in place of their own.
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
        let chosen =
            [("--engine-archive", self.engine_archive.is_some()), ("--firewall", self.firewall.is_some())];
        let Some((flag, _)) = chosen.into_iter().find(|(_, given)| *given) else { return Ok(()) };
        let other = self.tiers().iter().find(|tier| !TIERS_OF_NODES.contains(tier));
        other.map_or(Ok(()), |tier| {
            let tiers = TIERS_OF_NODES.map(Tier::name).join(", ");
            Err(format!(
                "cannot use {flag}: the tier {} has no such nodes\nhint: name one of {tiers}",
                tier.name()
            ))
        })
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
