//! The guest of the `vm` tier: a virtual machine with a host's kernel, real root, and an engine of the distribution.
//!
//! The machine that runs the suites has one kernel and one version of control groups, and often not every capability.
//! The guest has what hosts have. Everything comes from Debian's packages, is made once and cached in `target/vm`;
//! what a run writes is thrown away.
//!
//! What is made once: `system`, the disk with Debian and its engine; `kernel`, which QEMU boots; `images`, the disk with
//! the engine's data root. `disk` makes such disks. For each run: `program`, what is to run there; `payload`, the archive
//! with it; `qemu`, the machine itself, and `processor`, what differs from one processor to another; `report`, what it says on its serial line.

mod disk;
mod images;
mod kernel;
mod payload;
mod processor;
mod program;
mod qemu;
mod report;
mod system;

use crate::arch::Arch;
use crate::base::Release;
use crate::engine::Engine;
use crate::workspace::Workspace;
use crate::{Result, progress};
use clap::ValueEnum;
use images::Users;
pub use kernel::Kernel;
pub use program::{Program, Run};
pub use report::Report;
use std::fmt;

/// Control groups, as the kernel's command line chooses them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Cgroup {
    /// The legacy hierarchies.
    V1,
    /// The unified hierarchy alone.
    V2,
}

impl fmt::Display for Cgroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
        })
    }
}

/// A host to run the suite on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guest {
    /// Its processor.
    pub arch: Arch,
    /// Its kernel.
    pub kernel: Kernel,
    /// Its control groups.
    pub cgroup: Cgroup,
    /// Whether its engine maps users (`userns-remap`). Then systemd is its first process, which gives containers their groups.
    pub userns: bool,
    /// Whether its clock counts instructions where it is emulated: what else the machine does changes nothing in it then.
    pub counts: bool,
}

/// The guests of the `vm` tier.
#[derive(clap::Args, Debug)]
pub struct GuestArgs {
    /// In the tiers vm and unit: the processor that everything is built for and runs on, emulated where it is another than this
    /// machine's
    #[arg(long, default_value_t = Arch::HOST)]
    arch: Arch,
    /// In the vm tier: the guest's kernel
    #[arg(long, default_value_t = Kernel::Linux61)]
    kernel: Kernel,
    /// In the vm tier: the guest's version of control groups
    #[arg(long, default_value_t = Cgroup::V2)]
    cgroup: Cgroup,
    /// In the vm tier: a guest whose engine maps users, with systemd
    #[arg(long, conflicts_with_all = ["cgroup", "all"])]
    userns: bool,
    /// In the vm tier: where the guest is emulated, let its clock count instructions, so that a busy machine makes it slow and breaks
    /// no promise of seconds in it
    #[arg(long)]
    count: bool,
    /// In the vm tier: every kernel with every version of control groups that it has whole
    #[arg(long, conflicts_with_all = ["kernel", "cgroup"])]
    all: bool,
}

impl GuestArgs {
    /// The processor.
    #[must_use]
    pub fn arch(&self) -> Arch {
        self.arch
    }

    /// The guests to run, one after the other.
    pub fn chosen(&self) -> Vec<Guest> {
        if !self.all {
            return vec![Guest {
                arch: self.arch,
                kernel: self.kernel,
                cgroup: self.cgroup,
                userns: self.userns,
                counts: self.count,
            }];
        }
        let kernels = Kernel::value_variants().iter().copied();
        let groups = Cgroup::value_variants().iter().copied();
        let guest =
            |kernel, cgroup| Guest { arch: self.arch, kernel, cgroup, userns: false, counts: self.count };
        let guests = kernels.flat_map(|kernel| groups.clone().map(move |cgroup| guest(kernel, cgroup)));
        // Debian built 6.12 without the memory controller of v1 (CONFIG_MEMCG_V1): nothing limits memory there.
        guests.filter(|guest| (guest.kernel, guest.cgroup) != (Kernel::Linux612, Cgroup::V1)).collect()
    }
}

impl Guest {
    /// What most hosts are.
    pub const USUAL: Self =
        Self { arch: Arch::HOST, kernel: Kernel::Linux61, cgroup: Cgroup::V2, userns: false, counts: false };

    /// The same with an engine that maps users.
    pub const MAPPING: Self = Self { userns: true, ..Self::USUAL };
}

/// `6.1-v2`, `6.1-v2-userns`, or `6.1-v2-arm64` where the processor is another than this machine's, as it is in the names of logs.
impl fmt::Display for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let userns = if self.userns { "-userns" } else { "" };
        write!(f, "{}-{}{userns}{}", self.kernel, self.cgroup, self.arch.suffix())
    }
}

/// What to run in the guests.
#[derive(Debug)]
pub struct Suite<'a> {
    /// The node image, which `engine` has.
    pub node: &'a str,
    /// The guest's system, and so the outer engine's version.
    pub release: Release,
    /// The processor of the image, and of the guests.
    pub arch: Arch,
    /// One after the other, whatever becomes of the one before.
    pub runs: &'a [Run],
}

/// Makes the parts of the guests that need neither binaries nor images.
pub fn ahead(workspace: &Workspace, release: Release, guests: &[Guest]) -> Result<()> {
    for guest in guests {
        system::ensure(workspace, release, guest.arch)?;
        kernel::ensure(workspace, guest.kernel, guest.arch)?;
    }
    Ok(())
}

/// Runs the suite in each guest, whatever becomes of the one before.
pub fn run(
    workspace: &Workspace,
    engine: Engine,
    suite: &Suite,
    guests: &[Guest],
) -> Result<Vec<(Guest, Result<Report>)>> {
    let system = system::ensure(workspace, suite.release, suite.arch)?;
    let runs = |name| suite.runs.iter().any(|run| run.program == Program::Suite(name));
    let users = match guests.iter().any(|guest| guest.userns) {
        true => Users::Mapped,
        false if runs("podman") || runs("containerd") => Users::Others,
        false => Users::Engine,
    };
    let data = images::ensure(workspace, &engine, &system, suite, users)?;
    // An emulated guest takes every processor there is.
    engine.release(workspace)?;
    let payload = payload::pack(workspace, suite)?;
    let disks = qemu::Disks { system: &system.disk, data: &data, payload: &payload };
    let mut outcomes = Vec::new();
    for guest in guests {
        progress::heading(&format!("the guest: kernel and control groups {guest}"));
        let report = kernel::ensure(workspace, guest.kernel, guest.arch)
            .and_then(|boot| qemu::run(workspace, *guest, &boot, &disks));
        outcomes.push((*guest, report));
    }
    Ok(outcomes)
}
