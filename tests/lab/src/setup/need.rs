//! One thing that a package brings: whether it is there, and which package that is.

use crate::Result;
use crate::workspace::Workspace;
use std::fs;
use std::path::{Path, PathBuf};
use xshell::cmd;

/// Signs all releases of Debian, and is a package on Ubuntu too.
pub const DEBIAN_KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Something that a package brings.
#[derive(Clone, Copy, Debug)]
pub enum Need {
    /// A program of this name, from the package of that name.
    Program(&'static str, &'static str),
    /// The docker command: part of the engine's package, or one of its own.
    DockerCli,
    /// bindgen (of the loopdev crate) loads it at build time.
    LibClang,
    /// A module of the distribution's Python, from a package.
    Module(&'static str, &'static str),
    /// A file at this path, from a package.
    File(&'static str, &'static str),
    /// A busybox without libraries, which is the whole inner image.
    StaticBusybox,
    /// What Debian's packages are checked with, here or on Ubuntu.
    DebianKeys,
}

impl Need {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Program(name, _) => name,
            Self::DockerCli => "docker",
            Self::LibClang => "libclang",
            Self::Module(module, _) => module,
            Self::File(path, _) => path,
            Self::StaticBusybox => "a static busybox",
            Self::DebianKeys => "the keys of Debian's archive",
        }
    }

    pub(super) fn is_met(self, workspace: &Workspace) -> bool {
        match self {
            Self::Program(program, _) => find(workspace, program).is_some(),
            Self::DockerCli => find(workspace, "docker").is_some(),
            Self::LibClang => has_libclang(),
            Self::Module(module, _) => has_module(workspace, module),
            Self::File(path, _) => Path::new(path).exists(),
            Self::StaticBusybox => static_busybox(workspace).is_some(),
            Self::DebianKeys => Path::new(DEBIAN_KEYRING).exists(),
        }
    }

    pub(super) fn package(self, workspace: &Workspace) -> Result<String> {
        match self {
            Self::Program(_, package) | Self::File(_, package) | Self::Module(_, package) => {
                Ok(package.to_owned())
            }
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

fn find(workspace: &Workspace, program: &str) -> Option<PathBuf> {
    which::which_in(program, Some(&workspace.path), &workspace.root).ok()
}

/// A busybox that runs without a loader, if there is one.
pub fn static_busybox(workspace: &Workspace) -> Option<PathBuf> {
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

/// Looks where clang-sys looks: the distribution's libraries and each LLVM release's own directory.
fn has_libclang() -> bool {
    let releases = fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    let directories = releases.flat_map(|directory| [directory.join("lib"), directory]);
    let given = std::env::var_os("LIBCLANG_PATH").map(Into::into);
    directories.chain(given).filter_map(|directory| fs::read_dir(directory).ok()).flatten().flatten().any(
        |entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            name.contains(".so")
                && (name.starts_with("libclang.")
                    || name.starts_with("libclang-1")
                    || name.starts_with("libclang-2"))
        },
    )
}

/// The library of the release's own LLVM, without the compiler's headers: `libclang1-14` for `libclang-14-dev`.
fn libclang_package(workspace: &Workspace) -> Result<String> {
    let shell = &workspace.shell;
    let depends = cmd!(shell, "apt-cache depends libclang-dev").quiet().read()?;
    let version =
        depends.lines().find_map(|line| line.trim().strip_prefix("Depends: libclang-")?.strip_suffix("-dev"));
    Ok(version.map_or_else(|| "libclang-dev".to_owned(), |version| format!("libclang1-{version}")))
}
