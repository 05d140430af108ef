//! `dist`: what a release consists of, in `target/dist`. The same commit gives the same bytes, wherever its checkout lies.
//!
//! * `bills`: what each program is made of, as CycloneDX
//! * `third_party`: the licences of what is linked into the programs
//! * `tree`, `packages`: the files as an archive and as a package of Debian have them, and both of these
//! * `twice`: makes it a second time, elsewhere, and compares

mod bills;
mod packages;
mod third_party;
mod tree;
mod twice;

use dind_lab::arch::Arch;
use dind_lab::product::binaries;
use dind_lab::setup;
use dind_lab::toolchain::Toolchain;
use dind_lab::{Result, Workspace, progress};
use std::fs;
use std::path::{Path, PathBuf};
pub(crate) use twice::check;
use xshell::cmd;

/// The version of everything in the workspace.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Dates what is made (<https://reproducible-builds.org/specs/source-date-epoch>).
const EPOCH: &str = "SOURCE_DATE_EPOCH";

/// A release that is being made.
struct Release<'a> {
    workspace: &'a Workspace,
    arch: Arch,
    /// Where it is made.
    directory: PathBuf,
    /// Seconds since 1970: the date of every file.
    epoch: String,
}

/// Makes the directory anew; that for another processor is `target/dist-arm64` or so.
pub(crate) fn make(workspace: &Workspace, arch: Arch) -> Result<PathBuf> {
    let toolchain = Toolchain::ensure(workspace, arch)?;
    let built = binaries::build_released(&toolchain, arch)?;
    let directory = workspace.target.join(format!("dist{}", arch.suffix()));
    assemble(&toolchain, arch, &built, &directory)?;
    progress::note(&format!("everything is in {}", directory.display()));
    Ok(directory)
}

/// The same of programs that are there already, for the suites; returns the directory.
pub(crate) fn of_binaries(workspace: &Workspace, built: &Path) -> Result<PathBuf> {
    let directory = workspace.target.join("dist-test");
    assemble(&Toolchain::ensure(workspace, Arch::HOST)?, Arch::HOST, built, &directory)?;
    Ok(directory)
}

fn assemble(toolchain: &Toolchain, arch: Arch, built: &Path, directory: &Path) -> Result<()> {
    let workspace = toolchain.workspace();
    setup::install(workspace, &[setup::PACKAGES])?;
    let release = Release { workspace, arch, directory: directory.to_owned(), epoch: epoch(workspace)? };
    let _ = fs::remove_dir_all(directory);
    fs::create_dir_all(directory.join("bin"))?;
    for tool in binaries::TOOLS {
        fs::copy(built.join(tool), directory.join("bin").join(tool))?;
    }
    fs::copy(workspace.root.join("LICENSE"), directory.join("LICENSE"))?;
    progress::heading("man pages and completions");
    let docs =
        ["run", "--locked", "--package", "dind-tests", "--features", "docs", "--bin", "dind-docs", "--"];
    workspace.cargo(&docs).arg(directory).run()?;
    bills::write(&release)?;
    progress::step("licences of what is linked", || third_party::write(&release, toolchain))?;
    progress::step("archive and package", || {
        packages::archive(&release)?;
        packages::debian(&release)
    })?;
    progress::heading("checksums");
    release.checksums()
}

/// The commit's date, or what the environment has.
fn epoch(workspace: &Workspace) -> Result<String> {
    let given = workspace.shell.var(EPOCH).ok().filter(|given| !given.is_empty());
    let (date, source) = match given {
        Some(given) => (given, EPOCH),
        None => {
            let log = workspace.as_user("git", &["log", "-1", "--format=%ct"]);
            (log.quiet().ignore_stderr().read().unwrap_or_default(), "the date of the last commit")
        }
    };
    match date.parse::<u64>() {
        Ok(_) => Ok(date),
        Err(_) => Err(format!(
            "cannot read {source}: expected seconds since 1970, not `{date}`\nhint: set {EPOCH}=$(date +%s)"
        )
        .into()),
    }
}

impl Release<'_> {
    /// A command with this release's date.
    fn dated<'a>(&self, command: xshell::Cmd<'a>) -> xshell::Cmd<'a> {
        command.env(EPOCH, &self.epoch).quiet()
    }

    /// Of every file, by the names that they have below the directory, for `sha256sum --check`.
    fn checksums(&self) -> Result<()> {
        let shell = &self.workspace.shell;
        let _there = shell.push_dir(&self.directory);
        let files = cmd!(shell, "find . -type f -printf %P\\n").quiet().read()?;
        let mut files: Vec<_> = files.lines().collect();
        files.sort_unstable();
        let sums = cmd!(shell, "sha256sum {files...}").quiet().read()?;
        fs::write(self.directory.join("SHA256SUMS"), format!("{sums}\n"))?;
        Ok(cmd!(shell, "sha256sum --check --quiet SHA256SUMS").quiet().run()?)
    }
}
