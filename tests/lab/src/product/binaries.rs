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
    compile(&toolchain, arch, &[])?;
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

/// Builds them as a release has them: by the profile of this workspace, whatever profile the environment asks for. Returns cargo's
/// own directory.
///
/// # Errors
/// They cannot be built.
pub fn build_released(toolchain: &Toolchain, arch: Arch) -> Result<PathBuf> {
    let names = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
    let chosen = |name: &String| name.starts_with("CARGO_PROFILE_RELEASE_") || name == "CARGO_INCREMENTAL";
    let others: Vec<_> = names.filter(chosen).collect();
    if !others.is_empty() {
        progress::note(&format!("a release has the profile of Cargo.toml, without {}", others.join(", ")));
    }
    compile(toolchain, arch, &others)?;
    Ok(toolchain.output().join("release"))
}

/// Compiles them, without some of the environment's variables.
fn compile(toolchain: &Toolchain, arch: Arch, without: &[String]) -> Result<()> {
    let for_another = if arch.is_host() { String::new() } else { format!(" for {arch}") };
    progress::heading(&format!("build the static binaries{for_another}"));
    let mut args = vec!["build", "--release", "--locked"];
    args.extend(TOOLS.iter().flat_map(|tool| ["--package", *tool]));
    let remapped = toolchain.without_paths()?;
    let script = toolchain.workspace().root.join("tests/lab/src/product/no-unwind.ld");
    let script = format!("link-arg=-Wl,-T,{}", script.display());
    let small = ["-C", &script, "-C", "link-arg=-Wl,--no-eh-frame-hdr"];
    let packed = toolchain.packs_relocations().then_some(["-C", "link-arg=-Wl,-z,pack-relative-relocs"]);
    let own = arch.has_static_pie().then(|| small.into_iter().chain(packed.into_iter().flatten()));
    let flags = STATIC.split(' ').chain(own.into_iter().flatten()).chain(remapped.iter().map(String::as_str));
    let flags: Vec<_> = flags.collect();
    let build = without.iter().fold(toolchain.cargo(&args), |build, name| build.env_remove(name));
    // Unlike RUSTFLAGS this one is not split at spaces, which a path may have.
    Ok(build.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}")).run()?)
}
