//! Which iptables the engine calls: the backend that has rules already, for rules in the other one would not meet them.

use crate::facts::Facts;
use crate::facts::iptables::{Installed, LINKS_LEGACY, LINKS_NFT, Links};
use crate::fault;
use crate::firewall::content::Tables;
use crate::options::Options;
use crate::report::{Chosen, Reason};
use crate::values::Backend;
use dind_contract::{Fault, Warning};
use dind_system::helper::HELPER_PATH;
use std::path::PathBuf;

/// The modules of the tables that dockerd writes to with `iptables-legacy`.
pub const LEGACY_MODULES: [&str; 6] =
    ["ip_tables", "iptable_nat", "iptable_filter", "ip6_tables", "ip6table_nat", "ip6table_filter"];

/// What was decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Iptables {
    /// The backend; nothing where no iptables is installed.
    pub chosen: Option<Chosen>,
    /// Whether ip_tables has to be loaded.
    pub load_modules: bool,
    /// The directory of links to a program that is not plain `iptables`.
    pub links: Option<Links>,
    /// For a node without iptables.
    pub warning: Option<Warning>,
}

impl Iptables {
    /// Whether the engine writes to nf_tables.
    #[must_use]
    pub fn is_nft(&self) -> bool {
        self.chosen.as_ref().is_some_and(|chosen| chosen.backend == Backend::Nft)
    }
}

/// Chooses.
///
/// # Errors
/// [`fault::IPTABLES_MISSING`] when the backend that is asked for is not installed.
pub fn decide(facts: &Facts, options: &Options) -> Result<Iptables, Fault> {
    let installed = &facts.iptables;
    let Some(chosen) = choose(installed, options.iptables)? else {
        let warning = Warning::new(
            fault::IPTABLES_NOT_FOUND,
            "no iptables is installed; dockerd does not start without it",
            format!("{}; or give dockerd --iptables=false", installed.packages.hint("iptables", "iptables")),
        );
        return Ok(Iptables { warning: Some(warning), ..Iptables::default() });
    };
    let name = match chosen.backend {
        Backend::Nft => LINKS_NFT,
        Backend::Legacy => LINKS_LEGACY,
    };
    let links = chosen.program.clone();
    let links = links.map(|program| Links { directory: options.state.join(name), program: Some(program) });
    Ok(Iptables {
        load_modules: chosen.backend == Backend::Legacy && installed.legacy_loadable,
        links,
        chosen: Some(chosen),
        warning: None,
    })
}

/// nf_tables wins where both have rules: a table of nf_tables was made by somebody, but one look by `iptables-legacy -L`
/// is enough to make tables of ip_tables.
fn choose(installed: &Installed, forced: Option<Backend>) -> Result<Option<Chosen>, Fault> {
    let plain = plain_backend(installed);
    let has = |backend| plain == Some(backend) || program_of(installed, backend).is_some();
    let chosen = |backend, reason| {
        let program = program_of(installed, backend).filter(|_| plain != Some(backend)).cloned();
        Some(Chosen { backend, reason, program })
    };
    if let Some(backend) = forced {
        if !has(backend) {
            let name = if backend == Backend::Nft { "iptables-nft" } else { "iptables-legacy" };
            return Err(fault::IPTABLES_MISSING
                .cannot("use", name, format!("it is not in {HELPER_PATH}"))
                .hint(format!(
                    "{}; or leave DIND_NET_IPTABLES unset",
                    installed.packages.hint(name, "iptables")
                )));
        }
        return Ok(chosen(backend, Reason::Forced));
    }
    let candidates = [
        (installed.nft_tables == Tables::Present, Backend::Nft, Reason::HasRules),
        (installed.legacy_tables, Backend::Legacy, Reason::HasRules),
        (installed.nft_tables == Tables::Empty, Backend::Nft, Reason::Works),
        (installed.nft_tables == Tables::Unavailable, Backend::Legacy, Reason::Fallback),
    ];
    let first = candidates.into_iter().find(|(holds, backend, _)| *holds && has(*backend));
    Ok(match (first, plain) {
        (Some((_, backend, reason)), _) => chosen(backend, reason),
        (None, Some(backend)) => chosen(backend, Reason::Installed),
        (None, None) => None,
    })
}

fn program_of(installed: &Installed, backend: Backend) -> Option<&PathBuf> {
    match backend {
        Backend::Nft => installed.nft.as_ref(),
        Backend::Legacy => installed.legacy.as_ref(),
    }
}

/// The backend of plain `iptables`: distributions call the programs `xtables-nft-multi` and `xtables-legacy-multi`.
fn plain_backend(installed: &Installed) -> Option<Backend> {
    let name = installed.plain.as_ref()?.file_name()?.to_string_lossy().into_owned();
    Some(if name.contains("nft") { Backend::Nft } else { Backend::Legacy })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn debian(plain: &str, legacy_tables: bool, nft_tables: Tables) -> Installed {
        Installed {
            plain: Some(format!("/usr/sbin/xtables-{plain}-multi").into()),
            nft: Some("/usr/sbin/xtables-nft-multi".into()),
            legacy: Some("/usr/sbin/xtables-legacy-multi".into()),
            legacy_tables,
            nft_tables,
            ..Installed::default()
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
            let chosen = choose(&debian(plain, legacy_tables, nft_tables), None).unwrap().unwrap();
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
        assert_eq!(choose(&only_legacy, None).unwrap().unwrap().backend, Backend::Legacy);
        assert_eq!(choose(&only_legacy, Some(Backend::Nft)).unwrap_err().code, fault::IPTABLES_MISSING);
        assert_eq!(choose(&Installed::default(), None).unwrap(), None);
        let nft = debian("nft", false, Tables::Present);
        let forced = choose(&nft, Some(Backend::Legacy)).unwrap().unwrap();
        assert_eq!(forced.program.unwrap(), Path::new("/usr/sbin/xtables-legacy-multi"));
    }

    #[test]
    fn modules_are_loaded_for_the_legacy_backend_alone() {
        let options = Options::parse(&crate::cli::Texts::default()).unwrap();
        for (nft_tables, legacy_loadable, load) in [
            (Tables::Unavailable, true, true),
            (Tables::Unavailable, false, false),
            (Tables::Empty, true, false),
        ] {
            let iptables = Installed { legacy_loadable, ..debian("nft", false, nft_tables) };
            let facts = Facts { iptables, ..Facts::default() };
            assert_eq!(decide(&facts, &options).unwrap().load_modules, load, "{nft_tables:?}");
        }
        assert!(!decide(&Facts::default(), &options).unwrap().load_modules, "no iptables");
    }
}
