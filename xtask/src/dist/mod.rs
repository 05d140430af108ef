//! `dist`: what a release consists of, in `target/dist`: the static binaries, man pages, shell completions,
//! bills of materials, checksums.

use dind_lab::arch::Arch;
use dind_lab::product::binaries;
use dind_lab::setup::{self, Tool};
use dind_lab::{Result, Workspace, progress};
use std::fs;
use std::path::Path;
use xshell::cmd;

/// Makes the bills of materials.
const CARGO_CYCLONEDX: Tool = Tool { name: "cargo-cyclonedx", version: "0.5.9" };

/// Makes the directory anew; that for another processor is `target/dist-arm64` or so.
pub(crate) fn make(workspace: &Workspace, arch: Arch) -> Result<()> {
    let built = binaries::build_for(workspace, arch)?;
    let directory = workspace.target.join(format!("dist{}", arch.suffix()));
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(directory.join("bin"))?;
    for tool in binaries::TOOLS {
        fs::copy(built.join(tool), directory.join("bin").join(tool))?;
    }
    progress::heading("man pages and completions");
    let docs =
        ["run", "--locked", "--package", "dind-tests", "--features", "docs", "--bin", "dind-docs", "--"];
    workspace.cargo(&docs).arg(&directory).run()?;
    let cyclonedx = setup::tool(workspace, CARGO_CYCLONEDX)?;
    progress::step("bills of materials", || bills(workspace, &cyclonedx, arch, &directory))?;
    progress::heading("checksums");
    checksums(workspace, &directory)?;
    progress::note(&format!("everything is in {}", directory.display()));
    Ok(())
}

/// What each binary is made of, as CycloneDX 1.5 (ECMA-424): every crate that is linked into it.
fn bills(workspace: &Workspace, cyclonedx: &Path, arch: Arch, directory: &Path) -> Result<()> {
    let (shell, target) = (&workspace.shell, arch.triple());
    let what = ["--format", "json", "--spec-version", "1.5", "--describe", "binaries", "--no-build-deps"];
    let mut make = cmd!(shell, "{cyclonedx} cyclonedx {what...} --target {target}");
    // The same commit makes the same bills.
    if let Ok(date) = cmd!(shell, "git log -1 --format=%ct").quiet().ignore_stderr().read() {
        make = make.env("SOURCE_DATE_EPOCH", date);
    }
    progress::logged(workspace, "cargo-cyclonedx", make)?;
    // It writes one beside the manifest of each program of the workspace. Where the checkout lies is nobody's business.
    let checkout = format!("path+file://{}/", workspace.root.display());
    let find = cmd!(shell, "find . -path ./target -prune -o -name *_bin.cdx.json -print").quiet().read()?;
    for bill in find.lines().map(|path| workspace.root.join(path)) {
        let tool = |tool: &&&str| bill.ends_with(format!("{tool}_bin.cdx.json"));
        if let Some(tool) = binaries::TOOLS.iter().find(tool) {
            let text = fs::read_to_string(&bill)?.replace(&checkout, "path+file:///");
            fs::write(directory.join(format!("{tool}.cdx.json")), text)?;
        }
        fs::remove_file(bill)?;
    }
    Ok(())
}

/// Of every file, by the names that they have below the directory, for `sha256sum --check`.
fn checksums(workspace: &Workspace, directory: &Path) -> Result<()> {
    let shell = &workspace.shell;
    let _there = shell.push_dir(directory);
    let files = cmd!(shell, "find . -type f -printf %P\\n").quiet().read()?;
    let mut files: Vec<_> = files.lines().collect();
    files.sort_unstable();
    let sums = cmd!(shell, "sha256sum {files...}").quiet().read()?;
    fs::write(directory.join("SHA256SUMS"), format!("{sums}\n"))?;
    Ok(cmd!(shell, "sha256sum --check --quiet SHA256SUMS").quiet().run()?)
}
