//! What the commands need beyond a Rust toolchain, and how a fresh Debian or Ubuntu machine gets it.
//!
//! `need` is one such thing: whether it is there, and the package that brings it. [`consent`] is that of a person at a terminal.
//! [`emulation`] makes programs of another processor run here for a while.

pub mod consent;
pub mod emulation;
mod need;

use crate::arch::Arch;
use crate::workspace::Workspace;
use crate::{Result, progress};
pub use need::{DEBIAN_KEYRING, Need, static_busybox};
use nix::unistd::Uid;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use xshell::{Cmd, cmd};

/// To compile the workspace.
pub const BUILD: &[Need] = &[Need::Program("cc", "gcc"), Need::LibClang];

/// To run an engine and build images on it.
pub const ENGINE: &[Need] = &[
    Need::DockerCli,
    Need::Program("dockerd", "docker.io"),
    Need::Program("iptables", "iptables"),
    Need::Program("nft", "nftables"),
    Need::Program("slirp4netns", "slirp4netns"),
    Need::StaticBusybox,
];

/// To make the keys that docker:dind makes.
pub const OPENSSL: &[Need] = &[Need::Program("openssl", "openssl")];

/// To make a base image without a registry.
pub const BASE: &[Need] = &[Need::Program("mmdebstrap", "mmdebstrap")];

/// To bootstrap a release of Debian.
pub const DEBIAN: &[Need] = &[Need::Program("mmdebstrap", "mmdebstrap"), Need::DebianKeys];

/// To compile for another processor with this machine's Rust.
#[must_use]
pub fn cross(arch: Arch) -> &'static [Need] {
    match arch {
        Arch::X86_64 => &[
            Need::Program("x86_64-linux-gnu-gcc", "gcc-x86-64-linux-gnu"),
            Need::File("/usr/x86_64-linux-gnu/include/stdio.h", "libc6-dev-amd64-cross"),
        ],
        Arch::Aarch64 => &[
            Need::Program("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
            Need::File("/usr/aarch64-linux-gnu/include/stdio.h", "libc6-dev-arm64-cross"),
        ],
    }
}

/// To run another processor's programs here, one by one. mmdebstrap asks arch-test whether they run by themselves.
pub const EMULATION: &[Need] =
    &[Need::Program("qemu-aarch64-static", "qemu-user-static"), Need::Program("arch-test", "arch-test")];

/// To run the guest of a processor.
#[must_use]
pub fn machine(arch: Arch) -> &'static [Need] {
    match arch {
        Arch::X86_64 => &[Need::Program("qemu-system-x86_64", "qemu-system-x86")],
        Arch::Aarch64 => &[Need::Program("qemu-system-aarch64", "qemu-system-arm")],
    }
}

/// To make an image with Mesos, a cluster of it, and a registry to push it to.
pub const MESOS: &[Need] = &[
    // The client for eggs; setuptools has it before its version 80.
    Need::Module("setuptools.package_index", "python3-setuptools"),
    Need::Module("ensurepip", "python3-venv"),
    Need::Program("docker-compose", "docker-compose"),
    Need::Program("docker-registry", "docker-registry"),
];

/// To install the clients of a node, and to run `.gitlab-ci.yml` files.
pub const CLIENTS: &[Need] = &[
    Need::Module("ensurepip", "python3-venv"),
    Need::Program("git", "git"),
    Need::Program("rsync", "rsync"),
];

/// To run nodes on engines of other makes.
pub const OUTSIDE: &[Need] = &[
    Need::Program("podman", "podman"),
    Need::Program("conmon", "conmon"),
    Need::Program("runc", "runc"),
    Need::Program("crun", "crun"),
    // podman looks for them in a directory of its own (containers.conf(5), helper_binaries_dir).
    Need::File("/usr/lib/podman/netavark", "netavark"),
    Need::File("/usr/lib/podman/aardvark-dns", "aardvark-dns"),
    Need::Program("containerd", "containerd"),
    Need::File("/usr/lib/cni/bridge", "containernetworking-plugins"),
    PROTOC,
];

/// To compile the interface of Kubernetes to containerd.
pub const PROTOC: Need = Need::Program("protoc", "protobuf-compiler");

/// To make archives and packages of a release.
pub const PACKAGES: &[Need] =
    &[Need::Program("dpkg-deb", "dpkg"), Need::Program("gzip", "gzip"), Need::Program("tar", "tar")];

/// To make the guest of the `vm` tier, which runs on [`machine`].
pub const VM: &[Need] = &[
    Need::Program("mmdebstrap", "mmdebstrap"),
    Need::Program("modprobe", "kmod"),
    Need::Program("cpio", "cpio"),
    Need::Program("xz", "xz-utils"),
    Need::Program("mkfs.ext4", "e2fsprogs"),
    Need::DebianKeys,
    Need::StaticBusybox,
];

/// What the suites call.
pub const TESTS: &[Need] = &[
    Need::Program("ip", "iproute2"),
    Need::Program("iptables", "iptables"),
    Need::Program("nft", "nftables"),
    Need::Program("mkfs.ext4", "e2fsprogs"),
    Need::Program("mkfs.xfs", "xfsprogs"),
    Need::Program("mkfs.erofs", "erofs-utils"),
    Need::Program("mksquashfs", "squashfs-tools"),
    Need::Program("docker-registry", "docker-registry"),
    Need::Program("mkfs.btrfs", "btrfs-progs"),
    Need::Program("strace", "strace"),
    Need::Program("nbdkit", "nbdkit"),
    Need::Program("nbdfuse", "libnbd-bin"),
    Need::Program("jq", "jq"),
    Need::Program("socat", "socat"),
    Need::Module("prometheus_client", "python3-prometheus-client"),
    Need::Program("man", "man-db"),
    Need::Program("groff", "groff-base"),
    Need::Program("mandoc", "mandoc"),
    Need::StaticBusybox,
];

/// Installs what is missing of some lists.
pub fn install(workspace: &Workspace, lists: &[&[Need]]) -> Result<()> {
    let missing: Vec<_> =
        lists.iter().flat_map(|list| list.iter()).filter(|need| !need.is_met(workspace)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = missing.iter().map(|need| need.name()).collect();
    progress::note(&format!("missing on this machine: {}", names.join(", ")));
    if !Path::new("/usr/bin/apt-get").exists() {
        return Err(format!(
            "cannot install {}: this machine has no apt-get; install them by hand",
            names.join(", ")
        )
        .into());
    }
    consent::ask()?;
    progress::step("read the package lists", || {
        progress::logged(workspace, "apt-update", apt_get(workspace, &["update"]))
    })?;
    let mut packages: Vec<_> = missing.iter().map(|need| need.package(workspace)).collect::<Result<_>>()?;
    packages.sort();
    packages.dedup();
    progress::step(&format!("install {}", packages.join(" ")), || {
        let mut args = vec!["install", "--yes", "--no-install-recommends"];
        args.extend(packages.iter().map(String::as_str));
        progress::logged(workspace, "apt-install", apt_get(workspace, &args))
    })?;
    match missing.iter().find(|need| !need.is_met(workspace)) {
        Some(need) => Err(format!("{} is still missing after its package was installed", need.name()).into()),
        None => Ok(()),
    }
}

/// A program of crates.io, at the version that its output was checked with.
#[derive(Clone, Copy, Debug)]
pub struct Tool {
    /// The crate, which is also the program.
    pub name: &'static str,
    /// The version.
    pub version: &'static str,
}

/// The path of a program, which is compiled where this machine does not have it yet.
pub fn tool(workspace: &Workspace, tool: Tool) -> Result<PathBuf> {
    let Tool { name, version } = tool;
    let root = workspace.tools().join(format!("{name}-{version}"));
    let program = root.join("bin").join(name);
    if program.exists() {
        return Ok(program);
    }
    install(workspace, &[BUILD])?;
    progress::step(&format!("compile {name} {version}"), || {
        let build = workspace.target.join("tools");
        let (root, build) = (root.display().to_string(), build.display().to_string());
        let args =
            ["install", "--locked", name, "--version", version, "--root", &root, "--target-dir", &build];
        // These programs work for a second or two; optimized, they would take minutes to compile instead of one.
        let quick = [("OPT_LEVEL", "0"), ("LTO", "off"), ("CODEGEN_UNITS", "256"), ("DEBUG", "false")];
        let quick = quick.map(|(name, value)| (format!("CARGO_PROFILE_RELEASE_{name}"), value));
        progress::logged(workspace, name, workspace.cargo(&args).envs(quick))?;
        Ok(std::fs::remove_dir_all(build)?)
    })?;
    Ok(program)
}

/// Starts over as root where that is needed, with what cargo and the options have in the environment.
pub fn become_root() -> Result<()> {
    if Uid::effective().is_root() {
        return Ok(());
    }
    let kept = ["PATH", "HOME", "XDG_CACHE_HOME", "TERM", "CI", "BASE_IMAGE", "DOCKER_HOST"];
    let is_kept = |name: &str| {
        kept.contains(&name) || ["CARGO_", "RUSTUP_", "DIND_"].iter().any(|prefix| name.starts_with(prefix))
    };
    let kept = std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_kept));
    let kept = kept.map(|(name, value)| [name, "=".into(), value].into_iter().collect::<OsString>());
    let mut sudo = Command::new("sudo");
    sudo.arg("env").args(kept).arg(std::env::current_exe()?).args(std::env::args_os().skip(1));
    Err(format!("this command needs root, and `sudo` cannot be run: {}", sudo.exec()).into())
}

fn apt_get<'a>(workspace: &'a Workspace, args: &[&str]) -> Cmd<'a> {
    // Another package manager may be at work, such as a new machine's first upgrade.
    let (shell, wait) = (&workspace.shell, "DPkg::Lock::Timeout=300");
    let as_root = cmd!(shell, "apt-get -o {wait} {args...}");
    let as_user = cmd!(shell, "sudo -n DEBIAN_FRONTEND=noninteractive apt-get -o {wait} {args...}");
    if Uid::effective().is_root() { as_root.env("DEBIAN_FRONTEND", "noninteractive") } else { as_user }
}
