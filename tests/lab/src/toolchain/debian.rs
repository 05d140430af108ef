//! Debian's own Rust and cross compiler, in a system that is bootstrapped for them: neither depends on what this machine has.

use crate::arch::Arch;
use crate::base::Release;
use crate::setup;
use crate::workspace::Workspace;
use crate::{Result, progress};
use std::fs;
use std::path::{Path, PathBuf};
use xshell::{Cmd, cmd};

/// Makes what cargo needs visible in the system, each at the path that it has outside, and enters it as the user who called sudo: `root user
/// crates directory… -- command…`. The crates are only read, so two versions of cargo do not meet there.
const ENTER: &str = "root=$1; user=$2; crates=$3; here=$PWD; shift 2\n\
    mount --rbind /dev \"$root/dev\" && mount -t proc proc \"$root/proc\" && mount -t tmpfs -o mode=1777 tmp \"$root/tmp\" || exit 1\n\
    while [ \"$1\" != -- ]; do\n\
        mkdir -p \"$root$1\" && mount --bind \"$1\" \"$root$1\" || exit 1\n\
        shift\n\
    done\n\
    mount -o remount,bind,ro \"$root$crates\" || exit 1\n\
    for qemu in /usr/bin/qemu-*-static; do\n\
        [ ! -e \"$qemu\" ] || { touch \"$root$qemu\" && mount --bind \"$qemu\" \"$root$qemu\"; } || exit 1\n\
    done\n\
    shift; exec chroot --userspec=\"$user\" \"$root\" sh -c 'cd \"$0\" && exec \"$@\"' \"$here\" \"$@\"";

/// What the environment may choose for cargo here.
const KEPT: [&str; 4] = ["CARGO_PROFILE_", "CARGO_BUILD_JOBS", "CARGO_TERM_", "DIND_"];

/// The system with the compilers.
#[derive(Debug)]
pub(super) struct CrossRoot {
    root: PathBuf,
    target: PathBuf,
}

/// Bootstraps it where it is not there yet, whole or not at all, and fetches the workspace's crates.
pub(super) fn ensure(workspace: &Workspace, arch: Arch) -> Result<CrossRoot> {
    setup::install(workspace, &[setup::BASE, setup::DEBIAN])?;
    let place = workspace.target.join("cross").join(arch.debian());
    let cross = CrossRoot { root: place.join("system"), target: place.join("build") };
    let packages = packages(arch);
    let key = place.join("key");
    if !(cross.root.exists() && fs::read_to_string(&key).is_ok_and(|have| have == packages)) {
        let fresh = place.join("system.new");
        progress::step(&format!("bootstrap Debian's compilers for {arch}: 300 MB to fetch"), || {
            let _ = fs::remove_file(&key);
            for old in [&fresh, &cross.root] {
                if old.exists() {
                    fs::remove_dir_all(old)?;
                }
            }
            fs::create_dir_all(&place)?;
            let architectures = format!("--architectures={},{arch}", Arch::HOST);
            let include = format!("--include={packages}");
            let bootstrap = Release::Sid.mmdebstrap(
                workspace,
                Arch::HOST,
                &fresh,
                &["--variant=apt", &architectures, &include],
            )?;
            progress::logged(workspace, "cross-system", bootstrap)?;
            fs::rename(&fresh, &cross.root)?;
            Ok(fs::write(&key, &packages)?)
        })?;
    }
    // Cargo in there has no network.
    workspace.cargo(&["fetch", "--locked"]).run()?;
    Ok(cross)
}

/// Rust and libclang for this machine; the standard library, linker and C library for the other.
fn packages(arch: Arch) -> String {
    let gcc = format!("gcc-{}", arch.gnu().replace('_', "-"));
    format!(
        "rustc,cargo,gcc,libc6-dev,libclang-dev,ca-certificates,{gcc},libc6-dev-{arch}-cross,\
         linux-libc-dev-{arch}-cross,libstd-rust-dev:{arch}"
    )
}

impl CrossRoot {
    /// Cargo's build directory: that of another version of the compiler than this machine's.
    pub(super) fn target(&self) -> &Path {
        &self.target
    }

    /// The system's root directory.
    pub(super) fn path(&self) -> &Path {
        &self.root
    }

    /// Cargo in the system, in a mount namespace of its own, with this checkout and its crates.
    pub(super) fn cargo<'a>(&self, workspace: &'a Workspace, args: &[&str]) -> Cmd<'a> {
        let (shell, root, target) = (&workspace.shell, &self.root, &self.target);
        let id = |name| std::env::var(name).unwrap_or_else(|_| "0".to_owned());
        let user = format!("{}:{}", id("SUDO_UID"), id("SUDO_GID"));
        let home = workspace.cargo_home();
        let directories = [&home, &workspace.root, &workspace.target];
        let kept = std::env::vars().filter(|(name, _)| KEPT.iter().any(|prefix| name.starts_with(prefix)));
        let enter = cmd!(shell, "unshare --mount sh -c {ENTER} enter {root} {user} {directories...}");
        let enter = enter.args(["--", "cargo"]).args(&args[..1]).arg("--offline").args(&args[1..]);
        let clean = enter.quiet().env_clear().envs(kept).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        clean.env("CARGO_HOME", home).env("CARGO_TARGET_DIR", target).env("HOME", "/tmp")
    }
}
