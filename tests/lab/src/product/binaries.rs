//! The four tools as static binaries: they run in any image, `FROM scratch` included.

use crate::workspace::Workspace;
use crate::{Result, progress, setup};
use std::fs;
use std::path::PathBuf;
use xshell::cmd;

/// The packages, which are also the programs.
pub const TOOLS: [&str; 4] = ["dind-storage", "dind-net", "dind-reaper", "dind-launch"];

/// For programs that are static, as `RUSTFLAGS`. With `--target` it does not reach proc macros, which cannot be.
pub const STATIC: &str = "-C target-feature=+crt-static";

/// Builds them into `target/image/bin`; returns that directory.
pub fn build(workspace: &Workspace) -> Result<PathBuf> {
    setup::install(workspace, &[setup::BUILD])?;
    let target = host_triple(workspace)?;
    progress::heading("build the static binaries");
    let mut args = vec!["build", "--release", "--locked", "--target", &target];
    args.extend(TOOLS.iter().flat_map(|tool| ["--package", *tool]));
    let script =
        format!("link-arg=-Wl,-T,{}", workspace.root.join("tests/lab/src/product/no-unwind.ld").display());
    let small = ["-C", &script, "-C", "link-arg=-Wl,--no-eh-frame-hdr"];
    let packed = packs_relocations(workspace).then_some(["-C", "link-arg=-Wl,-z,pack-relative-relocs"]);
    let flags: Vec<_> = STATIC.split(' ').chain(small).chain(packed.into_iter().flatten()).collect();
    // Unlike RUSTFLAGS this one is not split at spaces, which a path may have.
    workspace.cargo(&args).env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}")).run()?;

    let (built, directory) = (workspace.target.join(&target).join("release"), workspace.binaries());
    fs::create_dir_all(&directory)?;
    for tool in TOOLS {
        // A new file under a new name: the old one may be running.
        let fresh = directory.join(format!(".{tool}"));
        fs::copy(built.join(tool), &fresh)?;
        fs::rename(&fresh, directory.join(tool))?;
    }
    Ok(directory)
}

/// Whether the C library, which becomes a part of the programs, can relocate them by a list of a few bits for each address (its
/// NEWS of 2.36, DT_RELR). An older one would crash at the start of each.
fn packs_relocations(workspace: &Workspace) -> bool {
    let shell = &workspace.shell;
    let version = cmd!(shell, "getconf GNU_LIBC_VERSION").quiet().ignore_stderr().read().unwrap_or_default();
    let number = version.strip_prefix("glibc 2.").and_then(|minor| minor.parse::<u32>().ok());
    number.is_some_and(|minor| minor >= 36)
}

/// The glibc target of this machine; a toolchain for musl would build for musl.
pub fn host_triple(workspace: &Workspace) -> Result<String> {
    let shell = &workspace.shell;
    let version = cmd!(shell, "rustc -vV").quiet().read()?;
    let host =
        version.lines().find_map(|line| line.strip_prefix("host: ")).ok_or("`rustc -vV` names no host")?;
    match host.split_once('-') {
        Some((arch, rest)) if rest.contains("linux") => Ok(format!("{arch}-unknown-linux-gnu")),
        _ => Err(format!("the tools are for Linux, this toolchain is for `{host}`").into()),
    }
}
