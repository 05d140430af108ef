//! Where things are: the checkout, the build directory, and the private engine's own places.

use crate::Result;
use crate::arch::Arch;
use nix::unistd::Uid;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use xshell::{Cmd, Shell, cmd};

/// Where root's programs are: `su` on Debian leaves these directories out of PATH.
const ROOT_PATH: &str = "/usr/local/sbin:/usr/sbin:/sbin";

/// The directories that every command works in.
#[derive(Debug)]
pub struct Workspace {
    /// The checkout.
    pub root: PathBuf,
    /// Cargo's build directory; the private engine lives in it, so that `cargo clean` removes everything.
    pub target: PathBuf,
    /// Runs commands from the checkout.
    pub shell: Shell,
    /// For programs that are not run by `shell`.
    pub path: String,
}

impl Workspace {
    /// Reads the surroundings.
    pub fn open() -> Result<Self> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = manifest.ancestors().nth(2).ok_or("this crate does not lie in tests/lab")?.to_owned();
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(dir) if !dir.is_empty() => root.join(dir),
            _ => root.join("target"),
        };
        let shell = Shell::new()?;
        shell.change_dir(&root);
        let path = format!("{}:{ROOT_PATH}", std::env::var("PATH").unwrap_or_default());
        shell.set_var("PATH", &path);
        Ok(Self { root, target, shell, path })
    }

    /// Cargo, as the user who called sudo: root's files in the build directory would lock that user out.
    pub fn cargo(&self, args: &[&str]) -> Cmd<'_> {
        self.as_user("cargo", args)
    }

    /// A program of the Rust toolchain, as that user.
    pub fn as_user(&self, program: &str, args: &[&str]) -> Cmd<'_> {
        let shell = &self.shell;
        match (std::env::var("SUDO_UID"), std::env::var("SUDO_GID")) {
            (Ok(uid), Ok(gid)) if Uid::effective().is_root() && uid != "0" => {
                cmd!(shell, "setpriv --reuid {uid} --regid {gid} --init-groups {program} {args...}").quiet()
            }
            _ => self.with_default_signals(program, args),
        }
    }

    /// Cargo, as whoever runs this. In the background HUP, INT or QUIT may be ignored, which children inherit and shells
    /// cannot trap: the suites start from the defaults.
    pub fn cargo_as_root(&self, args: &[&str]) -> Cmd<'_> {
        self.with_default_signals("cargo", args)
    }

    fn with_default_signals(&self, program: &str, args: &[&str]) -> Cmd<'_> {
        let shell = &self.shell;
        cmd!(shell, "env --default-signal=HUP,INT,QUIT {program} {args...}").quiet()
    }

    /// Where cargo has the crates (Cargo's book, "Cargo Home").
    #[must_use]
    pub fn cargo_home(&self) -> PathBuf {
        let variable = |name| self.shell.var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        variable("CARGO_HOME").unwrap_or_else(|| variable("HOME").unwrap_or_default().join(".cargo"))
    }

    /// What goes into the image. Below the checkout even when cargo builds elsewhere: `docker build .` reads it.
    pub fn image(&self) -> PathBuf {
        self.root.join("target/image")
    }

    /// The static binaries, as they go into the image.
    pub fn binaries(&self) -> PathBuf {
        self.binaries_for(Arch::HOST)
    }

    /// Those for a processor.
    pub fn binaries_for(&self, arch: Arch) -> PathBuf {
        self.image().join(format!("bin{}", arch.suffix()))
    }

    /// Image archives that a node loads at its start.
    pub fn preload(&self) -> PathBuf {
        self.preload_for(Arch::HOST)
    }

    /// Those for a processor.
    pub fn preload_for(&self, arch: Arch) -> PathBuf {
        self.image().join(format!("preload{}", arch.suffix()))
    }

    /// Output of helper commands, one file each.
    pub fn logs(&self) -> PathBuf {
        self.target.join("log")
    }

    /// The private engine's state, data root and log.
    pub fn engine(&self) -> PathBuf {
        self.target.join("engine")
    }

    /// Programs of crates that commands need, each compiled once for all checkouts.
    #[must_use]
    pub fn tools(&self) -> PathBuf {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
        cache.map_or_else(|| self.target.join("tools"), |cache| cache.join("dind-tools"))
    }

    /// Disks and kernels of the virtual machines, each made once.
    pub fn guests(&self) -> PathBuf {
        self.target.join("vm")
    }

    /// Images for engines of other makes.
    #[must_use]
    pub fn outside(&self) -> PathBuf {
        self.target.join("outside")
    }

    /// A name for this checkout's engine that no other checkout on the machine has.
    pub fn engine_name(&self) -> String {
        // FNV-1a: the standard library's hashes may differ from one compiler to the next.
        let bytes = self.target.as_os_str().as_bytes();
        let hash = bytes
            .iter()
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
        format!("dind-{hash:08x}")
    }

    /// Sockets and pid files. Not below `target/`: a socket's path has room for 107 bytes (unix(7)).
    pub fn run_dir(&self) -> PathBuf {
        Path::new("/run").join(self.engine_name())
    }
}
