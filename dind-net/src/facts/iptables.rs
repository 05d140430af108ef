//! Which iptables are installed, and where rules are. Nothing is run to find out.

use crate::firewall::content::Tables;
use dind_system::helper::HELPER_PATH;
use dind_system::{PackageManager, Root};
use std::io;
use std::path::{Path, PathBuf};

/// Names that dockerd calls, all served by one program that looks at the name it is called by.
pub const NAMES: [&str; 6] =
    ["iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"];

/// Names of the directories, below the state directory, of links that make `iptables` another program.
pub const LINKS_NFT: &str = "iptables-nft";
/// See above.
pub const LINKS_LEGACY: &str = "iptables-legacy";

/// Names of the tables that exist in ip_tables. The file exists when ip_tables does (net/netfilter/x_tables.c).
const IP_TABLES: &str = "/proc/net/ip_tables_names";
const IP6_TABLES: &str = "/proc/net/ip6_tables_names";
/// Exists when the kernel can load modules at all.
const MODULES: &str = "/proc/modules";

/// What is installed, and where rules are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Installed {
    /// What would install one.
    pub packages: PackageManager,
    /// The program behind plain `iptables`.
    pub plain: Option<PathBuf>,
    /// The program behind `iptables-nft`.
    pub nft: Option<PathBuf>,
    /// The program behind `iptables-legacy`.
    pub legacy: Option<PathBuf>,
    /// ip_tables has tables. Never found out by running `iptables-legacy`: that alone makes some.
    pub legacy_tables: bool,
    /// ip_tables is not in the kernel, and may be a module.
    pub legacy_loadable: bool,
    /// What nf_tables holds.
    pub nft_tables: Tables,
    /// Directories of links that an earlier run has made.
    pub links: Vec<Links>,
}

/// A directory of links to one program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Links {
    /// The directory.
    pub directory: PathBuf,
    /// What all its links lead to; nothing where they do not lead to one program.
    pub program: Option<PathBuf>,
}

impl Installed {
    /// Looks for programs, tables and links below `root`.
    ///
    /// # Errors
    /// Those of reading the names of tables.
    pub fn observe(root: &Root, state: &Path, nft_tables: Tables) -> io::Result<Self> {
        let mut legacy_tables = false;
        for file in [IP_TABLES, IP6_TABLES] {
            // Only root may read them; for others they are empty or denied.
            legacy_tables |= match root.read_opt(file) {
                Ok(names) => names.is_some_and(|names| !names.trim().is_empty()),
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => false,
                Err(error) => return Err(error),
            };
        }
        Ok(Self {
            packages: PackageManager::of(root),
            plain: program(root, "iptables"),
            nft: program(root, "iptables-nft"),
            legacy: program(root, "iptables-legacy"),
            legacy_tables,
            legacy_loadable: !legacy_loaded(root) && root.exists(MODULES),
            nft_tables,
            links: links(root, state),
        })
    }
}

/// Whether ip_tables is in the kernel.
#[must_use]
pub fn legacy_loaded(root: &Root) -> bool {
    root.exists(IP_TABLES)
}

/// The directories of links below the state directory that exist.
#[must_use]
pub fn links(root: &Root, state: &Path) -> Vec<Links> {
    let directories = [LINKS_NFT, LINKS_LEGACY].map(|name| state.join(name));
    let existing = directories.into_iter().filter(|path| root.path(path).symlink_metadata().is_ok());
    existing.map(|directory| Links { program: linked_program(root, &directory), directory }).collect()
}

fn linked_program(root: &Root, directory: &Path) -> Option<PathBuf> {
    let mut targets = NAMES.iter().map(|name| root.read_link(directory.join(name)).ok());
    let first = targets.next()??;
    targets.all(|target| target.as_ref() == Some(&first)).then_some(first)
}

/// The end of the chain of links that a program's name begins: /usr/sbin/iptables is /etc/alternatives/iptables is ….
fn program(root: &Root, name: &str) -> Option<PathBuf> {
    HELPER_PATH.split(':').find_map(|directory| resolve(root, &Path::new(directory).join(name)))
}

fn resolve(root: &Root, path: &Path) -> Option<PathBuf> {
    let mut path = path.to_owned();
    // As many links as the kernel follows.
    for _ in 0..40 {
        match root.read_link(&path) {
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
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn ip_tables_is_loadable_on_a_kernel_with_modules_until_it_is_loaded() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        let loadable =
            || Installed::observe(&root, Path::new("/run/dind"), Tables::Empty).unwrap().legacy_loadable;
        assert!(!loadable(), "a kernel without modules");
        fs::create_dir_all(directory.path().join("proc/net")).unwrap();
        fs::write(directory.path().join("proc/modules"), "").unwrap();
        assert!(loadable());
        fs::write(directory.path().join("proc/net/ip_tables_names"), "").unwrap();
        assert!(!loadable(), "loaded already");
    }

    #[test]
    fn links_of_an_earlier_run() {
        let directory = tempfile::tempdir().unwrap();
        let (root, state) = (Root::at(directory.path()), Path::new("/run/dind"));
        assert_eq!(links(&root, state), []);
        let made = directory.path().join("run/dind/iptables-legacy");
        fs::create_dir_all(&made).unwrap();
        let found = |program: Option<&str>| {
            [Links { directory: "/run/dind/iptables-legacy".into(), program: program.map(PathBuf::from) }]
        };
        for name in NAMES {
            assert_eq!(links(&root, state), found(None), "{name} is missing");
            symlink("/usr/sbin/xtables-legacy-multi", made.join(name)).unwrap();
        }
        assert_eq!(links(&root, state), found(Some("/usr/sbin/xtables-legacy-multi")));
        fs::remove_file(made.join("ip6tables")).unwrap();
        symlink("/elsewhere", made.join("ip6tables")).unwrap();
        assert_eq!(links(&root, state), found(None));
    }
}
