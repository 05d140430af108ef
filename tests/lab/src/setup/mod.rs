//! What the commands need beyond a Rust toolchain, and how a fresh Debian or Ubuntu machine gets it.

use crate::workspace::Workspace;
use crate::{Result, debian, progress};
use nix::unistd::Uid;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use xshell::{Cmd, cmd};

/// Something that a package brings.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Need {
    /// A program of this name, from the package of that name.
    Program(&'static str, &'static str),
    /// The docker command: part of the engine's package, or one of its own.
    DockerCli,
    /// bindgen (of the loopdev crate) loads it at build time.
    LibClang,
    /// A module of the distribution's Python, from a package.
    Module(&'static str, &'static str),
    /// A busybox without libraries, which is the whole inner image.
    StaticBusybox,
    /// What Debian's packages are checked with, here or on Ubuntu.
    DebianKeys,
}

/// To compile the workspace.
pub(crate) const BUILD: &[Need] = &[Need::Program("cc", "gcc"), Need::LibClang];

/// To run an engine and build images on it.
pub(crate) const ENGINE: &[Need] = &[
    Need::DockerCli,
    Need::Program("dockerd", "docker.io"),
    Need::Program("iptables", "iptables"),
    Need::Program("nft", "nftables"),
    Need::Program("slirp4netns", "slirp4netns"),
    Need::StaticBusybox,
];

/// To make a base image without a registry.
pub(crate) const BASE: &[Need] = &[Need::Program("mmdebstrap", "mmdebstrap")];

/// To make an image with Mesos, a cluster of it, and a registry to push it to.
pub(crate) const MESOS: &[Need] = &[
    // The client for eggs; setuptools has it before its version 80.
    Need::Module("setuptools.package_index", "python3-setuptools"),
    Need::Module("ensurepip", "python3-venv"),
    Need::Program("docker-compose", "docker-compose"),
    Need::Program("docker-registry", "docker-registry"),
];

/// To make and run the guest of the `vm` tier.
pub(crate) const VM: &[Need] = &[
    Need::Program("qemu-system-x86_64", "qemu-system-x86"),
    Need::Program("mmdebstrap", "mmdebstrap"),
    Need::Program("modprobe", "kmod"),
    Need::Program("cpio", "cpio"),
    Need::Program("xz", "xz-utils"),
    Need::Program("mkfs.ext4", "e2fsprogs"),
    Need::DebianKeys,
    Need::StaticBusybox,
];

/// What the suites call.
pub(crate) const TESTS: &[Need] = &[
    Need::Program("ip", "iproute2"),
    Need::Program("iptables", "iptables"),
    Need::Program("nft", "nftables"),
    Need::Program("mkfs.ext4", "e2fsprogs"),
    Need::Program("mkfs.xfs", "xfsprogs"),
    Need::Program("strace", "strace"),
    Need::Program("nbdkit", "nbdkit"),
    Need::Program("nbdfuse", "libnbd-bin"),
    Need::Program("jq", "jq"),
    Need::StaticBusybox,
];

/// Installs what is missing of some lists.
pub(crate) fn install(workspace: &Workspace, lists: &[&[Need]]) -> Result<()> {
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

/// Starts over as root where that is needed, with what cargo and the options have in the environment.
pub(crate) fn become_root() -> Result<()> {
    if Uid::effective().is_root() {
        return Ok(());
    }
    let kept = ["PATH", "HOME", "CARGO_HOME", "CARGO_TARGET_DIR", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"];
    let kept = kept.iter().chain(&[
        "BASE_IMAGE",
        "DIND_TEST_ENGINE",
        "DIND_TEST_MESOS_IMAGE",
        "DOCKER_HOST",
        "TERM",
    ]);
    let kept = kept.filter_map(|name| Some(format!("{name}={}", std::env::var(name).ok()?)));
    let mut sudo = Command::new("sudo");
    sudo.arg("env").args(kept).arg(std::env::current_exe()?).args(std::env::args_os().skip(1));
    Err(format!("this command needs root, and `sudo` cannot be run: {}", sudo.exec()).into())
}

impl Need {
    fn name(self) -> &'static str {
        match self {
            Self::Program(program, _) => program,
            Self::DockerCli => "docker",
            Self::LibClang => "libclang",
            Self::Module(module, _) => module,
            Self::StaticBusybox => "a static busybox",
            Self::DebianKeys => "the keys of Debian's archive",
        }
    }

    fn is_met(self, workspace: &Workspace) -> bool {
        match self {
            Self::Program(program, _) => find(workspace, program).is_some(),
            Self::DockerCli => find(workspace, "docker").is_some(),
            Self::LibClang => has_libclang(),
            Self::Module(module, _) => has_module(workspace, module),
            Self::StaticBusybox => static_busybox(workspace).is_some(),
            Self::DebianKeys => Path::new(debian::KEYRING).exists(),
        }
    }

    fn package(self, workspace: &Workspace) -> Result<String> {
        match self {
            Self::Program(_, package) | Self::Module(_, package) => Ok(package.to_owned()),
            Self::DockerCli => {
                let shell = &workspace.shell;
                let own =
                    cmd!(shell, "apt-cache show docker-cli").quiet().ignore_stdout().ignore_stderr().run();
                Ok(if own.is_ok() { "docker-cli" } else { "docker.io" }.to_owned())
            }
            Self::LibClang => libclang_package(workspace),
            Self::StaticBusybox => Ok("busybox-static".to_owned()),
            Self::DebianKeys => Ok("debian-archive-keyring".to_owned()),
        }
    }
}

fn find(workspace: &Workspace, program: &str) -> Option<std::path::PathBuf> {
    which::which_in(program, Some(&workspace.path), &workspace.root).ok()
}

/// A busybox that runs without a loader, if there is one.
pub(crate) fn static_busybox(workspace: &Workspace) -> Option<std::path::PathBuf> {
    let path = find(workspace, "busybox")?;
    let loader = b"/ld-";
    let dynamic = fs::read(&path).ok()?.get(..4096)?.windows(loader.len()).any(|window| window == loader);
    (!dynamic).then_some(path)
}

fn has_module(workspace: &Workspace, module: &str) -> bool {
    let shell = &workspace.shell;
    let import = format!("import {module}");
    cmd!(shell, "/usr/bin/python3 -c {import}").quiet().ignore_stdout().ignore_stderr().run().is_ok()
}

/// Looks where clang-sys looks: the distribution's libraries and each LLVM release's own folder.
fn has_libclang() -> bool {
    let releases = fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    let folders = releases.flat_map(|folder| [folder.join("lib"), folder]);
    let given = std::env::var_os("LIBCLANG_PATH").map(Into::into);
    folders.chain(given).filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten().any(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.contains(".so")
            && (name.starts_with("libclang.")
                || name.starts_with("libclang-1")
                || name.starts_with("libclang-2"))
    })
}

/// The library of the release's own LLVM, without the compiler's headers: `libclang1-14` for `libclang-14-dev`.
fn libclang_package(workspace: &Workspace) -> Result<String> {
    let shell = &workspace.shell;
    let depends = cmd!(shell, "apt-cache depends libclang-dev").quiet().read()?;
    let version =
        depends.lines().find_map(|line| line.trim().strip_prefix("Depends: libclang-")?.strip_suffix("-dev"));
    Ok(version.map_or_else(|| "libclang-dev".to_owned(), |version| format!("libclang1-{version}")))
}

fn apt_get<'a>(workspace: &'a Workspace, args: &[&str]) -> Cmd<'a> {
    // Another package manager may be at work, such as a new machine's first upgrade.
    let (shell, wait) = (&workspace.shell, "DPkg::Lock::Timeout=300");
    let as_root = cmd!(shell, "apt-get -o {wait} {args...}");
    let as_user = cmd!(shell, "sudo -n DEBIAN_FRONTEND=noninteractive apt-get -o {wait} {args...}");
    if Uid::effective().is_root() { as_root.env("DEBIAN_FRONTEND", "noninteractive") } else { as_user }
}
