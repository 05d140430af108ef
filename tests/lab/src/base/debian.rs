//! Releases of Debian: where kernels and engines of other generations than this machine's own come from.

use crate::Result;
use crate::arch::Arch;
use crate::setup::DEBIAN_KEYRING;
use crate::workspace::Workspace;
use clap::ValueEnum;
use std::path::Path;
use xshell::{Cmd, cmd};

/// Asked where this machine's apt knows no mirror of Debian.
const DEFAULT_MIRROR: &str = "http://deb.debian.org/debian";

/// A release; as an option, by the engine that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Release {
    /// Docker Engine 20.10, of Debian 12
    #[value(name = "20")]
    Bookworm,
    /// Docker Engine 26.1, of Debian 13
    #[value(name = "26")]
    Trixie,
    /// Docker Engine 28, of Debian unstable
    #[value(name = "28")]
    Sid,
}

impl Release {
    /// As in sources.list(5).
    pub fn suite(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
            Self::Sid => "sid",
        }
    }

    /// The major version of its engine.
    pub fn engine(self) -> &'static str {
        match self {
            Self::Bookworm => "20",
            Self::Trixie => "26",
            Self::Sid => "28",
        }
    }

    /// The packages of the engine and its client.
    pub fn engine_packages(self) -> &'static str {
        match self {
            Self::Bookworm => "docker.io",
            Self::Trixie | Self::Sid => "docker.io,docker-cli",
        }
    }

    /// mmdebstrap(1) of this release into `target`; `args` choose the format and the packages. Packages of another processor than this
    /// machine's need [`emulation`](crate::setup::emulation) where they have scripts.
    pub fn mmdebstrap<'a>(
        self,
        workspace: &'a Workspace,
        arch: Arch,
        target: &Path,
        args: &[&str],
    ) -> Result<Cmd<'a>> {
        let (shell, suite) = (&workspace.shell, self.suite());
        let source = format!("deb [signed-by={DEBIAN_KEYRING}] {} {suite} main", mirror(workspace)?);
        // Both go into the new system's apt too. A mirror of the moving release may lag behind, past the date on it.
        let lean = r#"--aptopt=APT::Install-Recommends "false""#;
        let late = (self == Self::Sid).then_some(r#"--aptopt=Acquire::Check-Valid-Until "false""#);
        let other = (!arch.is_host()).then(|| format!("--architectures={arch}"));
        Ok(cmd!(shell, "mmdebstrap {lean} {late...} {other...} {args...} {suite} {target} {source}"))
    }
}

/// The mirror that this machine takes Debian from, which holds the other releases as well.
fn mirror(workspace: &Workspace) -> Result<String> {
    let (shell, format) = (&workspace.shell, "$(ORIGIN)|$(REPO_URI)|$(RELEASE)");
    let targets =
        cmd!(shell, "apt-get indextargets --format {format}").arg("Created-By: Packages").quiet().read()?;
    Ok(main_archive(&targets).unwrap_or(DEFAULT_MIRROR).to_owned())
}

/// `bookworm-updates` lies beside the release; `bookworm-security` has a mirror of its own.
fn main_archive(targets: &str) -> Option<&str> {
    targets.lines().find_map(|line| {
        let [origin, uri, release] = line.split('|').collect::<Vec<_>>()[..] else { return None };
        (origin == "Debian" && !release.contains('-')).then_some(uri)
    })
}

#[cfg(test)]
mod tests {
    use super::main_archive;

    #[test]
    fn the_mirror_is_the_one_of_the_release_itself() {
        let targets = "Debian|http://mirror.test/security/|bookworm-security\n\
            Docker|http://other.test/linux/|bookworm\n\
            Debian|http://mirror.test/debian/|bookworm\n";
        assert_eq!(main_archive(targets), Some("http://mirror.test/debian/"));
        assert_eq!(main_archive("Ubuntu|http://ubuntu.test/ubuntu/|noble\n"), None);
    }
}
