//! The distribution of this machine, and where its apt gets packages from: enough to bootstrap an image of it.

use crate::Result;
use crate::arch::Arch;
use crate::workspace::Workspace;
use std::collections::BTreeMap;
use std::fs;
use xshell::cmd;

/// The distribution of this machine.
pub(super) struct Distribution {
    /// `debian` or `ubuntu`, as os-release(5) has it.
    id: String,
    /// `bookworm`, `noble`.
    pub(super) suite: String,
}

impl Distribution {
    pub(super) fn read() -> Result<Self> {
        let text = fs::read_to_string("/etc/os-release")
            .map_err(|error| format!("cannot read /etc/os-release: {error}"))?;
        Self::parse(&text)
            .ok_or_else(|| "this machine is neither Debian nor Ubuntu; give an image by --base".into())
    }

    fn parse(os_release: &str) -> Option<Self> {
        let value = |key: &str| {
            let line = os_release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
            Some(line.trim_matches('"').to_owned())
        };
        Some(Self { id: value("ID")?, suite: value("VERSION_CODENAME")? })
    }

    /// The distribution's own entries of the machine's apt configuration, in one-line style (sources.list(5)).
    pub(super) fn sources(&self, workspace: &Workspace, arch: Arch) -> Result<Vec<String>> {
        // Ubuntu's mirrors for other processors are others (https://ports.ubuntu.com).
        if self.id == "ubuntu" && !arch.is_host() {
            return Err(format!(
                "cannot bootstrap {} for {arch} from this machine's mirror\nhint: --engine 26 bootstraps Debian 13 in its place",
                self.suite
            )
            .into());
        }
        let shell = &workspace.shell;
        let format = "$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)";
        let targets = cmd!(shell, "apt-get indextargets --format {format}")
            .arg("Created-By: Packages")
            .quiet()
            .read()?;
        let sources = self.select(&targets);
        if sources.is_empty() {
            return Err(format!(
                "apt on this machine has no mirror of {} {} in its lists: run `apt-get update`",
                self.id, self.suite
            )
            .into());
        }
        Ok(sources)
    }

    /// Third parties use the suite's name too; the origin is what differs.
    fn select(&self, targets: &str) -> Vec<String> {
        let mut components = BTreeMap::<_, Vec<_>>::new();
        for line in targets.lines() {
            let [origin, uri, release, component] = line.split('|').collect::<Vec<_>>()[..] else { continue };
            let of_suite = release
                .strip_prefix(&self.suite)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
            if origin.eq_ignore_ascii_case(&self.id) && of_suite {
                let known = components.entry((uri, release)).or_default();
                if !known.contains(&component) {
                    known.push(component);
                }
            }
        }
        // Newer releases trust no key that a source does not name. The packages have the same path inside.
        let keyring = format!("/usr/share/keyrings/{}-archive-keyring.gpg", self.id);
        let line = |((uri, release), components): (_, Vec<_>)| {
            format!("deb [signed-by={keyring}] {uri} {release} {}", components.join(" "))
        };
        components.into_iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Distribution;

    #[test]
    fn only_the_distributions_own_sources_are_taken() {
        let machine = Distribution::parse("NAME=\"Debian\"\nVERSION_CODENAME=bookworm\nID=debian\n").unwrap();
        assert_eq!((machine.id.as_str(), machine.suite.as_str()), ("debian", "bookworm"));
        let targets = "Debian|http://mirror.test/debian/|bookworm|main\n\
            Debian|http://mirror.test/debian/|bookworm|contrib\n\
            Debian|http://mirror.test/debian/|bookworm|main\n\
            Debian|http://mirror.test/security/|bookworm-security|main\n\
            Debian|http://mirror.test/debian/|trixie|main\n\
            Docker|http://other.test/linux/|bookworm|stable\n";
        let key = "signed-by=/usr/share/keyrings/debian-archive-keyring.gpg";
        assert_eq!(
            machine.select(targets),
            [
                format!("deb [{key}] http://mirror.test/debian/ bookworm main contrib"),
                format!("deb [{key}] http://mirror.test/security/ bookworm-security main"),
            ]
        );
    }
}
