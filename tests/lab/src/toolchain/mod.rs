//! What compiles the workspace for a processor: this machine's own, or another.
//!
//! For another, the Rust toolchain here gets its standard library by rustup, and Debian's cross linker beside it. Where there is no
//! rustup, or it cannot fetch anything, `debian` bootstraps a system that has both. `licences`: of what it links into each program.

mod debian;
mod licences;

use crate::arch::Arch;
use crate::workspace::Workspace;
use crate::{Result, progress, setup};
use debian::CrossRoot;
pub use licences::Notice;
use std::fs;
use std::path::{Path, PathBuf};
use xshell::{Cmd, cmd};

/// Chooses between the two: `rustup` or `debian`.
const CHOICE: &str = "DIND_CROSS";

/// Programs that are static, as `RUSTFLAGS`. With `--target` it does not reach proc macros, which cannot be.
pub const STATIC: &str = "-C target-feature=+crt-static";

/// What compiles.
#[derive(Debug)]
pub struct Toolchain<'a> {
    workspace: &'a Workspace,
    arch: Arch,
    /// Debian's; that of this machine where there is none.
    root: Option<CrossRoot>,
}

impl<'a> Toolchain<'a> {
    /// Makes what is missing.
    ///
    /// # Errors
    /// Neither way to it works; the reasons are in the error.
    pub fn ensure(workspace: &'a Workspace, arch: Arch) -> Result<Self> {
        setup::install(workspace, &[setup::BUILD])?;
        let of_this_machine = Self { workspace, arch, root: None };
        if arch.is_host() {
            return Ok(of_this_machine);
        }
        let choice = std::env::var(CHOICE).unwrap_or_default();
        let trouble = match choice.as_str() {
            "debian" => None,
            "rustup" | "" => match rustup(workspace, arch) {
                Ok(()) => return Ok(of_this_machine),
                Err(error) if choice == "rustup" => return Err(error),
                Err(error) => Some(error),
            },
            other => return Err(format!("invalid {CHOICE} `{other}`: expected `rustup` or `debian`").into()),
        };
        if let Some(trouble) = &trouble {
            progress::note(&format!("{trouble}; Debian's own compilers take its place"));
        }
        let root = debian::ensure(workspace, arch).map_err(|error| {
            let first = trouble.map(|trouble| format!("{trouble}; and ")).unwrap_or_default();
            format!("cannot compile for {arch}: {first}{error}")
        })?;
        Ok(Self { root: Some(root), ..of_this_machine })
    }

    /// The checkout that it compiles.
    #[must_use]
    pub fn workspace(&self) -> &'a Workspace {
        self.workspace
    }

    /// Cargo with `--target`, which comes after the first argument. What it makes is for the processor, in [`Self::output`].
    pub fn cargo(&self, args: &[&str]) -> Cmd<'a> {
        let triple = self.arch.triple();
        let (verb, rest) = args.split_at(args.len().min(1));
        let args = [verb, &["--target", &triple], rest].concat();
        let cargo = match &self.root {
            None => self.workspace.cargo(&args),
            Some(root) => root.cargo(self.workspace, &args),
        };
        if self.arch.is_host() { cargo } else { cargo.envs(cross_environment(self.arch)) }
    }

    /// The directory with `release` and `debug` in it.
    #[must_use]
    pub fn output(&self) -> PathBuf {
        let target = self.root.as_ref().map_or(self.workspace.target.as_path(), CrossRoot::target);
        target.join(self.arch.triple())
    }

    /// What makes the same programs wherever the checkout and the crates lie: rustc's flags that replace these paths, which the
    /// standard macros leave in messages.
    ///
    /// # Errors
    /// The crates cannot be fetched.
    pub fn without_paths(&self) -> Result<Vec<String>> {
        let sources = self.workspace.cargo_home().join("registry/src");
        if !sources.exists() {
            self.workspace.cargo(&["fetch", "--locked"]).run()?;
        }
        // One directory for each registry or mirror, by a hash of its address.
        let registries = fs::read_dir(&sources)
            .map_err(|error| format!("cannot read `{}`: {error}", sources.display()))?;
        let registries = registries.map(|entry| entry.map(|entry| entry.path()));
        let mut registries = registries.collect::<std::io::Result<Vec<_>>>()?;
        // The same flags in each build, or cargo would compile everything again.
        registries.sort();
        let mut prefixes = vec![(self.workspace.root.clone(), "/dind"), (self.output(), "/target")];
        prefixes.extend(registries.into_iter().map(|registry| (registry, "/crates")));
        Ok(prefixes.iter().map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display())).collect())
    }

    /// Whether the C library, which becomes a part of the programs, can relocate them by a list of a few bits for each address (its
    /// NEWS of 2.36, DT_RELR). An older one would crash at the start of each.
    #[must_use]
    pub fn packs_relocations(&self) -> bool {
        // Debian's is the newest.
        self.root.is_some() || {
            let cc = if self.arch.is_host() { "cc".to_owned() } else { format!("{}-gcc", self.arch.gnu()) };
            glibc_minor(self.workspace, &cc).is_some_and(|minor| minor >= 36)
        }
    }
}

/// The minor version of the C library that a compiler links.
fn glibc_minor(workspace: &Workspace, cc: &str) -> Option<u32> {
    let source = "#include <features.h>\n__GLIBC_MINOR__\n";
    let shell = &workspace.shell;
    let text = cmd!(shell, "{cc} -E -P -").quiet().ignore_stderr().stdin(source).read().ok()?;
    text.lines().last()?.trim().parse().ok()
}

/// For Rust's own compiler, crates with C in them, and bindgen. Test programs for another processor are debugged nowhere.
fn cross_environment(arch: Arch) -> [(String, String); 6] {
    let (gnu, triple) = (arch.gnu(), arch.triple().replace('-', "_"));
    let gcc = format!("{gnu}-gcc");
    let headers = format!("--target={gnu} -I/usr/{gnu}/include");
    [
        (format!("CARGO_TARGET_{}_LINKER", triple.to_uppercase()), gcc.clone()),
        (format!("CC_{triple}"), gcc),
        (format!("AR_{triple}"), format!("{gnu}-ar")),
        (format!("BINDGEN_EXTRA_CLANG_ARGS_{triple}"), headers),
        ("CARGO_PROFILE_DEV_DEBUG".to_owned(), "0".to_owned()),
        ("CARGO_INCREMENTAL".to_owned(), "0".to_owned()),
    ]
}

/// The cross linker, and the standard library beside that of this machine's Rust.
fn rustup(workspace: &Workspace, arch: Arch) -> Result<()> {
    let (shell, triple) = (&workspace.shell, arch.triple());
    let sysroot = cmd!(shell, "rustc --print sysroot").quiet().read()?;
    if !Path::new(&sysroot).join("lib/rustlib").join(&triple).exists() {
        progress::step(&format!("add Rust's target {triple}"), || {
            // The toolchains are the user's.
            let add = workspace.as_user("rustup", &["target", "add", &triple]);
            progress::logged(workspace, "rustup-target", add)
        })
        .map_err(|error| {
            let error = error.to_string();
            let first = error.lines().next().unwrap_or_default();
            format!("cannot add Rust's target {triple}: {}", first.trim_end_matches([':', ';']))
        })?;
    }
    setup::install(workspace, &[setup::cross(arch)])
}
