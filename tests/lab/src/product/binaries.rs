//! The four tools as static binaries: they run in any image, `FROM scratch` included.

use crate::arch::Arch;
use crate::toolchain::{STATIC, Toolchain};
use crate::workspace::Workspace;
use crate::{Result, progress};
use std::fs;
use std::path::PathBuf;

/// The packages, which are also the programs.
pub const TOOLS: [&str; 4] = ["dind-storage", "dind-net", "dind-reaper", "dind-launch"];

/// Builds them into `target/image/bin`; returns that directory.
pub fn build(workspace: &Workspace) -> Result<PathBuf> {
    build_for(workspace, Arch::HOST)
}

/// Builds them for a processor, into `target/image/bin-arm64` or so where it is another than this machine's; returns that directory.
pub fn build_for(workspace: &Workspace, arch: Arch) -> Result<PathBuf> {
    let toolchain = Toolchain::ensure(workspace, arch)?;
    let for_another = if arch.is_host() { String::new() } else { format!(" for {arch}") };
    progress::heading(&format!("build the static binaries{for_another}"));
    let mut args = vec!["build", "--release", "--locked"];
    args.extend(TOOLS.iter().flat_map(|tool| ["--package", *tool]));
    let script =
        format!("link-arg=-Wl,-T,{}", workspace.root.join("tests/lab/src/product/no-unwind.ld").display());
    let small = ["-C", &script, "-C", "link-arg=-Wl,--no-eh-frame-hdr"];
    let packed = toolchain.packs_relocations().then_some(["-C", "link-arg=-Wl,-z,pack-relative-relocs"]);
    let own = arch.has_static_pie().then(|| small.into_iter().chain(packed.into_iter().flatten()));
    let flags: Vec<_> = STATIC.split(' ').chain(own.into_iter().flatten()).collect();
    // Unlike RUSTFLAGS this one is not split at spaces, which a path may have.
    toolchain.cargo(&args).env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}")).run()?;

    let (built, directory) = (toolchain.output().join("release"), workspace.binaries_for(arch));
    fs::create_dir_all(&directory)?;
    for tool in TOOLS {
        // A new file under a new name: the old one may be running.
        let fresh = directory.join(format!(".{tool}"));
        fs::copy(built.join(tool), &fresh)?;
        fs::rename(&fresh, directory.join(tool))?;
    }
    Ok(directory)
}
