//! Bills of materials.

use super::Release;
use dind_lab::product::binaries;
use dind_lab::setup::{self, Tool};
use dind_lab::{Result, progress};
use std::fs;
use xshell::cmd;

/// Makes them.
const CARGO_CYCLONEDX: Tool = Tool { name: "cargo-cyclonedx", version: "0.5.9" };

/// What each binary is made of, as CycloneDX 1.5 (ECMA-424): every crate that is linked into it.
pub(super) fn write(release: &Release) -> Result<()> {
    let workspace = release.workspace;
    let cyclonedx = setup::tool(workspace, CARGO_CYCLONEDX)?;
    progress::step("bills of materials", || {
        let (shell, target) = (&workspace.shell, release.arch.triple());
        let what = ["--format", "json", "--spec-version", "1.5", "--describe", "binaries", "--no-build-deps"];
        let make = cmd!(shell, "{cyclonedx} cyclonedx {what...} --target {target}");
        progress::logged(workspace, "cargo-cyclonedx", release.dated(make))?;
        // It writes one beside the manifest of each program of the workspace. Where the checkout lies is nobody's business.
        let checkout = format!("path+file://{}/", workspace.root.display());
        let find =
            cmd!(shell, "find . -path ./target -prune -o -name *_bin.cdx.json -print").quiet().read()?;
        for bill in find.lines().map(|path| workspace.root.join(path)) {
            let tool = |tool: &&&str| bill.ends_with(format!("{tool}_bin.cdx.json"));
            if let Some(tool) = binaries::TOOLS.iter().find(tool) {
                let text = fs::read_to_string(&bill)?.replace(&checkout, "path+file:///");
                fs::write(release.directory.join(format!("{tool}.cdx.json")), text)?;
            }
            fs::remove_file(bill)?;
        }
        Ok(())
    })
}
