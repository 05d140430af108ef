//! Which iptables the engine calls: the backend that has rules already, for rules in the other one would not meet them.

use crate::fault;
use crate::nft::Tables;
use crate::options::Backend;
use dind_contract::helper::HELPER_PATH;
use dind_contract::{Fault, Root};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// Names that dockerd calls, all served by one program that looks at the name it is called by.
pub const NAMES: [&str; 6] =
    ["iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"];

/// What is installed, and where rules are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Installed {
    /// The program behind plain `iptables`.
    pub plain: Option<PathBuf>,
    /// The program behind `iptables-nft`.
    pub nft: Option<PathBuf>,
    /// The program behind `iptables-legacy`.
    pub legacy: Option<PathBuf>,
    /// ip_tables has tables. Never found out by running `iptables-legacy`: that alone makes some.
    pub legacy_tables: bool,
    /// What nf_tables holds.
    pub nft_tables: Tables,
}

/// What was chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Chosen {
    /// The backend.
    pub backend: Backend,
    /// Why this one.
    pub reason: Reason,
    /// The program, where it is not what plain `iptables` is: the engine gets a folder of links to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<PathBuf>,
}

/// Why a backend was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// `DIND_NET_IPTABLES` names it.
    Forced,
    /// It has rules already.
    HasRules,
    /// The kernel has nf_tables.
    Works,
    /// The kernel has no nf_tables.
    Fallback,
    /// It is what `iptables` is, and nothing speaks against it.
    Installed,
}

impl Installed {
    /// Looks for programs and tables below `root`.
    ///
    /// # Errors
    /// Those of reading `/proc/net/ip_tables_names`.
    pub fn observe(root: &Root, nft_tables: Tables) -> io::Result<Self> {
        let mut legacy_tables = false;
        for file in ["/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"] {
            // Only root may read them; for others they are empty or denied.
            legacy_tables |= match root.read_opt(file) {
                Ok(names) => names.is_some_and(|names| !names.trim().is_empty()),
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => false,
                Err(error) => return Err(error),
            };
        }
        Ok(Self {
            plain: program(root, "iptables"),
            nft: program(root, "iptables-nft"),
            legacy: program(root, "iptables-legacy"),
            legacy_tables,
            nft_tables,
        })
    }

    fn program_of(&self, backend: Backend) -> Option<&PathBuf> {
        match backend {
            Backend::Nft => self.nft.as_ref(),
            Backend::Legacy => self.legacy.as_ref(),
        }
    }

    /// The backend of plain `iptables`: distributions call the programs `xtables-nft-multi` and `xtables-legacy-multi`.
    fn plain_backend(&self) -> Option<Backend> {
        let name = self.plain.as_ref()?.file_name()?.to_string_lossy().into_owned();
        Some(if name.contains("nft") { Backend::Nft } else { Backend::Legacy })
    }

    /// Chooses; nothing where no iptables is installed.
    ///
    /// nf_tables wins where both have rules: a table of nf_tables was made by somebody, but one look by
    /// `iptables-legacy -L` is enough to make tables of ip_tables.
    ///
    /// # Errors
    /// [`fault::IPTABLES_MISSING`] when the backend that is asked for is not installed.
    pub fn choose(&self, forced: Option<Backend>) -> Result<Option<Chosen>, Fault> {
        let plain = self.plain_backend();
        let has = |backend| plain == Some(backend) || self.program_of(backend).is_some();
        if let Some(backend) = forced {
            if !has(backend) {
                let name = if backend == Backend::Nft { "iptables-nft" } else { "iptables-legacy" };
                return Err(fault::IPTABLES_MISSING
                    .cannot("use", name, format!("it is not in {HELPER_PATH}"))
                    .hint("install it, or leave DIND_NET_IPTABLES unset"));
            }
            return Ok(Some(self.chosen(backend, Reason::Forced)));
        }
        let candidates = [
            (self.nft_tables == Tables::Present, Backend::Nft, Reason::HasRules),
            (self.legacy_tables, Backend::Legacy, Reason::HasRules),
            (self.nft_tables == Tables::Empty, Backend::Nft, Reason::Works),
            (self.nft_tables == Tables::Unavailable, Backend::Legacy, Reason::Fallback),
        ];
        let first = candidates.into_iter().find(|(holds, backend, _)| *holds && has(*backend));
        Ok(match (first, plain) {
            (Some((_, backend, reason)), _) => Some(self.chosen(backend, reason)),
            (None, Some(backend)) => Some(self.chosen(backend, Reason::Installed)),
            (None, None) => None,
        })
    }

    fn chosen(&self, backend: Backend, reason: Reason) -> Chosen {
        let program =
            if self.plain_backend() == Some(backend) { None } else { self.program_of(backend).cloned() };
        Chosen { backend, reason, program }
    }
}

/// The end of the chain of links that a program's name begins: /usr/sbin/iptables is /etc/alternatives/iptables is ….
fn program(root: &Root, name: &str) -> Option<PathBuf> {
    HELPER_PATH.split(':').find_map(|folder| resolve(root, &Path::new(folder).join(name)))
}

fn resolve(root: &Root, path: &Path) -> Option<PathBuf> {
    let mut path = path.to_owned();
    // As many links as the kernel follows.
    for _ in 0..40 {
        match std::fs::read_link(root.path(&path)) {
            // An absolute target replaces the path; in a captured machine it starts at its root again.
            Ok(target) => path = path.parent()?.join(target),
            Err(_) => return root.exists(&path).then_some(path),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn debian(plain: &str, legacy_tables: bool, nft_tables: Tables) -> Installed {
        Installed {
            plain: Some(format!("/usr/sbin/xtables-{plain}-multi").into()),
            nft: Some("/usr/sbin/xtables-nft-multi".into()),
            legacy: Some("/usr/sbin/xtables-legacy-multi".into()),
            legacy_tables,
            nft_tables,
        }
    }

    #[test]
    fn choices() {
        use Backend::{Legacy, Nft};
        for (plain, legacy_tables, nft_tables, backend, reason, linked) in [
            ("nft", false, Tables::Empty, Nft, Reason::Works, false),
            ("nft", false, Tables::Present, Nft, Reason::HasRules, false),
            ("nft", true, Tables::Empty, Legacy, Reason::HasRules, true),
            ("nft", true, Tables::Present, Nft, Reason::HasRules, false),
            ("nft", false, Tables::Unavailable, Legacy, Reason::Fallback, true),
            ("nft", false, Tables::Unknown, Nft, Reason::Installed, false),
            ("legacy", false, Tables::Present, Nft, Reason::HasRules, true),
            ("legacy", false, Tables::Empty, Nft, Reason::Works, true),
            ("legacy", false, Tables::Unavailable, Legacy, Reason::Fallback, false),
        ] {
            let chosen = debian(plain, legacy_tables, nft_tables).choose(None).unwrap().unwrap();
            assert_eq!(
                (chosen.backend, chosen.reason),
                (backend, reason),
                "{plain} {legacy_tables} {nft_tables:?}"
            );
            assert_eq!(chosen.program.is_some(), linked, "{plain} {legacy_tables} {nft_tables:?}");
        }
    }

    #[test]
    fn what_is_not_installed_is_not_chosen() {
        let only_legacy = Installed { nft: None, ..debian("legacy", false, Tables::Present) };
        assert_eq!(only_legacy.choose(None).unwrap().unwrap().backend, Backend::Legacy);
        assert_eq!(only_legacy.choose(Some(Backend::Nft)).unwrap_err().code, fault::IPTABLES_MISSING);
        assert_eq!(Installed::default().choose(None).unwrap(), None);
        let forced = debian("nft", false, Tables::Present).choose(Some(Backend::Legacy)).unwrap().unwrap();
        assert_eq!(forced.program.unwrap(), Path::new("/usr/sbin/xtables-legacy-multi"));
    }
}
