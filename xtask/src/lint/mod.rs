//! What needs neither root nor an engine: format, lints, documentation, schemas, dependencies, and the house's own rules.
//!
//! * `house_rules`: what no tool checks, file by file
//! * `pages`: the commands of xtask on the pages that people read
//! * `imports`: no import circle between the files of a crate, nor between its directories

mod house_rules;
mod imports;
mod pages;

use dind_lab::product::binaries;
use dind_lab::setup::{self, Tool};
use dind_lab::{Result, Workspace, progress};
use xshell::cmd;

/// Checks what we depend on.
const CARGO_DENY: Tool = Tool { name: "cargo-deny", version: "0.20.2" };

/// Runs all checks; the first failure ends it.
pub(crate) fn run(workspace: &Workspace, accepts: pages::Accepts) -> Result<()> {
    setup::install(workspace, &[setup::BUILD, &[setup::PROTOC]])?;
    progress::heading("format");
    workspace.cargo(&["fmt", "--all", "--check"]).run()?;
    progress::heading("house rules");
    house_rules::check(workspace, accepts)?;
    dependencies(workspace)?;
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

/// Licences, sources and duplicates of all crates, by the rules in `.deny.toml`.
fn dependencies(workspace: &Workspace) -> Result<()> {
    let deny = setup::tool(workspace, CARGO_DENY)?;
    progress::step("check licences and sources of the dependencies", || {
        let shell = &workspace.shell;
        let check = cmd!(
            shell,
            "{deny} --locked --config .deny.toml check --hide-inclusion-graph licenses bans sources"
        );
        progress::logged(workspace, "cargo-deny", check)
    })
}
