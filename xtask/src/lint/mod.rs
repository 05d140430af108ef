//! What needs neither root nor an engine: format, lints, documentation, schemas, and the house's own rules.
//!
//! * `house_rules`: what no tool checks, file by file
//! * `imports`: no import circle between the files of a crate, nor between its directories

mod house_rules;
mod imports;

use dind_lab::product::binaries;
use dind_lab::setup;
use dind_lab::{Result, Workspace, progress};

/// Runs all checks; the first failure ends it.
pub(crate) fn run(workspace: &Workspace, commands: &[String]) -> Result<()> {
    setup::install(workspace, &[setup::BUILD])?;
    progress::heading("format");
    workspace.cargo(&["fmt", "--all", "--check"]).run()?;
    progress::heading("house rules");
    house_rules::check(workspace, commands)?;
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
