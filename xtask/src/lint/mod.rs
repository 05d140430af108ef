//! What needs no root and no engine: format, lints, documentation, schemas, and the house's own rules.

use crate::workspace::Workspace;
use crate::{Result, binaries, progress, setup, support};
use std::fs;
use std::path::{Path, PathBuf};

/// Only the record says when something was; everything else asks how long it takes (case: the clock is set during a stop).
const WALL_CLOCK: &str = concat!("System", "Time");

/// A longer file does more than one thing.
const MOST_LINES: usize = 350;

/// Runs all checks; the first failure ends it.
pub(crate) fn run(workspace: &Workspace, commands: &[String]) -> Result<()> {
    setup::install(workspace, &[setup::BUILD])?;
    progress::heading("format");
    workspace.cargo(&["fmt", "--all", "--check"]).run()?;
    progress::heading("house rules");
    tidy(workspace, commands)?;
    progress::heading("clippy");
    workspace
        .cargo(&[
            "clippy",
            "--locked",
            "--workspace",
            "--all-targets",
            "--all-features",
            "--",
            "-D",
            "warnings",
        ])
        .run()?;
    progress::heading("documentation");
    let doc = workspace.cargo(&["doc", "--locked", "--workspace", "--no-deps", "--all-features"]);
    doc.env("RUSTDOCFLAGS", "-D warnings").run()?;
    schema(workspace, true)
}

/// Compares the checked-in schemas with the types, or writes them.
pub(crate) fn schema(workspace: &Workspace, check: bool) -> Result<()> {
    setup::install(workspace, &[setup::BUILD])?;
    progress::heading(if check { "check the schemas" } else { "write the schemas" });
    let mut args = vec!["test", "--locked", "--quiet", "--test", "schema"];
    args.extend(binaries::TOOLS.iter().flat_map(|tool| ["--package", *tool]));
    let test = workspace.cargo(&args);
    let test = if check { test.env_remove("DIND_UPDATE") } else { test.env("DIND_UPDATE", "1") };
    Ok(test.run()?)
}

/// Every file is small and says what it is; the README names only commands that exist.
fn tidy(workspace: &Workspace, commands: &[String]) -> Result<()> {
    let mut faults = Vec::new();
    for path in sources(&workspace.root)? {
        let text = fs::read_to_string(&path)?;
        let name = path.strip_prefix(&workspace.root).unwrap_or(&path).display();
        if text.lines().count() > MOST_LINES {
            faults.push(format!("{name}: more than {MOST_LINES} lines"));
        }
        if !text.starts_with("//!") && !text.starts_with("#![doc") {
            faults.push(format!("{name}: the first line does not say what it is"));
        }
        let keeps_time = ["dind-launch/src", "dind-reaper/src"]
            .iter()
            .any(|folder| path.starts_with(workspace.root.join(folder)));
        if keeps_time && text.contains(WALL_CLOCK) && !path.ends_with("record.rs") {
            faults.push(format!("{name}: budgets go by `Instant`, the wall clock jumps"));
        }
    }
    let readme = fs::read_to_string(workspace.root.join("README.md"))
        .map_err(|error| format!("cannot read `README.md`: {error}"))?;
    for word in readme
        .split("cargo xtask ")
        .skip(1)
        .filter_map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '-').next())
    {
        if !commands.iter().any(|command| command == word) {
            faults.push(format!("README.md: there is no command `cargo xtask {word}`"));
        }
    }
    if !support::is_shown(workspace)? {
        faults.push("README.md: the support table is not that of tests/support.json".to_owned());
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n").into()) }
}

/// All Rust files of the members: each has `src` and `tests`, and one has a crate inside.
fn sources(root: &Path) -> Result<Vec<PathBuf>> {
    let mut folders = vec![root.to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let (path, name) = {
                let entry = entry?;
                (entry.path(), entry.file_name())
            };
            let hidden = name.as_encoded_bytes().starts_with(b".") || name == "target";
            if path.is_dir() && !hidden {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    Ok(files)
}
