//! `dist`: what a release consists of, in `target/dist`: the static binaries, man pages, shell completions, a bill of
//! materials, checksums.

use dind_lab::product::binaries;
use dind_lab::{Result, Workspace, progress};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use xshell::cmd;

/// Makes the directory anew.
pub(crate) fn make(workspace: &Workspace) -> Result<()> {
    let built = binaries::build(workspace)?;
    let directory = workspace.target.join("dist");
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(directory.join("bin"))?;
    for tool in binaries::TOOLS {
        fs::copy(built.join(tool), directory.join("bin").join(tool))?;
    }
    progress::heading("man pages and completions");
    let docs =
        ["run", "--locked", "--package", "dind-tests", "--features", "docs", "--bin", "dind-docs", "--"];
    workspace.cargo(&docs).arg(&directory).run()?;
    progress::heading("bill of materials");
    fs::write(directory.join("dind.cdx.json"), format!("{:#}\n", bill(workspace)?))?;
    progress::heading("checksums");
    checksums(workspace, &directory)?;
    progress::note(&format!("everything is in {}", directory.display()));
    Ok(())
}

/// What the binaries are made of, as CycloneDX 1.5 (ECMA-424): every crate that is linked into one of them.
fn bill(workspace: &Workspace) -> Result<Value> {
    let mut crates = BTreeMap::new();
    for tool in binaries::TOOLS {
        let tree = ["tree", "--locked", "--edges", "normal", "--prefix", "none"];
        let args = [&tree[..], &["--package", tool, "--format", "{p}|{l}"]].concat();
        for line in workspace.cargo(&args).read()?.lines() {
            let (package, license) =
                line.trim_end_matches(" (*)").split_once('|').ok_or("cargo tree has changed")?;
            let mut words = package.split(' ');
            let (Some(name), Some(version)) = (words.next(), words.next()) else { continue };
            crates.insert((name.to_owned(), version.trim_start_matches('v').to_owned()), license.to_owned());
        }
    }
    let component = |((name, version), license): ((String, String), String)| {
        json!({
            "type": if binaries::TOOLS.contains(&name.as_str()) { "application" } else { "library" },
            "name": name,
            "version": version,
            "purl": format!("pkg:cargo/{name}@{version}"),
            // Some crates still write the old `MIT/Apache-2.0`, which is no SPDX expression.
            "licenses": [{"expression": license.replace('/', " OR ")}],
        })
    };
    let components: Vec<_> = crates.into_iter().map(component).collect();
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "dind", "version": env!("CARGO_PKG_VERSION")}},
        "components": components,
    }))
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
