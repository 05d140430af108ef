//! The licences of what a compiler links into every static program, beside the crates: the standard library, the C library and gcc's own.

use super::Toolchain;
use crate::Result;
use std::path::{Path, PathBuf};
use xshell::cmd;

/// One file about licences.
#[derive(Clone, Debug)]
pub struct Notice {
    /// What it is about, for people.
    pub about: &'static str,
    /// A name for a copy of it.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

impl Notice {
    fn new(about: &'static str, name: &str, path: PathBuf) -> Self {
        Self { about, name: name.to_owned(), path }
    }
}

impl Toolchain<'_> {
    /// The files.
    ///
    /// # Errors
    /// One of them is not on this machine.
    pub fn notices(&self) -> Result<Vec<Notice>> {
        let root = self.root.as_ref().map_or(Path::new("/"), |cross| cross.path());
        let documents = root.join("usr/share/doc");
        let cross = if self.arch.is_host() { String::new() } else { format!("-{}-cross", self.arch) };
        let gcc = self.gcc_version()?;
        let of_package = |package: String| documents.join(package).join("copyright");
        // Debian's copyright files name these by their paths in base-files.
        let common = |name: &str| {
            Notice::new(
                "a text that the other files name",
                name,
                root.join("usr/share/common-licenses").join(name),
            )
        };
        let mut notices = vec![
            Notice::new("the GNU C Library", "glibc.txt", of_package(format!("libc6-dev{cross}"))),
            Notice::new(
                "gcc's own library, with its runtime library exception",
                "libgcc.txt",
                of_package(format!("libgcc-{gcc}-dev{cross}")),
            ),
            common("LGPL-2.1"),
            common("GPL-3"),
        ];
        notices.extend(self.standard_library(&documents)?);
        match notices.iter().find(|notice| !notice.path.exists()) {
            None => Ok(notices),
            Some(Notice { about, path, .. }) => Err(format!(
                "cannot find the licences of {about}: `{}` does not exist\nhint: packages must have been installed with their copyright files",
                path.display()
            )
            .into()),
        }
    }

    /// Rust's own installer puts one page with all of it, and the texts, beside the compiler; Debian has one file.
    fn standard_library(&self, documents: &Path) -> Result<Vec<Notice>> {
        const ABOUT: &str = "Rust's standard library";
        if self.root.is_some() {
            let path = documents.join("libstd-rust-dev/copyright");
            return Ok(vec![Notice::new(ABOUT, "rust-std.txt", path)]);
        }
        let shell = &self.workspace.shell;
        let sysroot = cmd!(shell, "rustc --print sysroot").quiet().read()?;
        let page = Path::new(&sysroot).join("share/doc/rust/COPYRIGHT-library.html");
        let package = documents.join("libstd-rust-dev/copyright");
        Ok(vec![match page.exists() || !package.exists() {
            true => Notice::new(ABOUT, "rust-std.html", page),
            false => Notice::new(ABOUT, "rust-std.txt", package),
        }])
    }

    /// The directory of gcc's library is called after its version.
    fn gcc_version(&self) -> Result<String> {
        let shell = &self.workspace.shell;
        let cc = if self.arch.is_host() { "cc".to_owned() } else { format!("{}-gcc", self.arch.gnu()) };
        let ask = match &self.root {
            None => cmd!(shell, "{cc} -print-libgcc-file-name"),
            Some(cross) => {
                let root = cross.path();
                cmd!(shell, "chroot {root} {cc} -print-libgcc-file-name")
            }
        };
        let path = ask.quiet().read()?;
        let version = Path::new(&path).parent().and_then(Path::file_name);
        Ok(version
            .ok_or_else(|| format!("`{cc}` has no library of gcc: `{path}`"))?
            .to_string_lossy()
            .into_owned())
    }
}
