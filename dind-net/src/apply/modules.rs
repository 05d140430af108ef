//! Kernel modules, asked for without /lib/modules and without a program.
//!
//! A question for the number of a link that does not exist makes the kernel itself run modprobe, on the machine's own
//! root, for a module of that name (`dev_load` of net/core/dev_ioctl.c; it takes `CAP_SYS_MODULE`). `ip link show NAME`
//! in docker:dind's modprobe does the same. nf_tables needs no asking: see [`crate::nft`].

use crate::iptables::Chosen;
use crate::options::Backend;
use dind_contract::Root;

/// The step's name.
pub const OP: &str = "load-modules";
/// The tables that dockerd writes to with `iptables-legacy`.
const LEGACY: [&str; 6] =
    ["ip_tables", "iptable_nat", "iptable_filter", "ip6_tables", "ip6table_nat", "ip6table_filter"];
/// Exists when ip_tables does (net/netfilter/x_tables.c).
const IP_TABLES: &str = "/proc/net/ip_tables_names";

/// The modules that the chosen backend lacks; none where the kernel has no modules at all.
#[must_use]
pub fn missing(root: &Root, chosen: Option<&Chosen>) -> &'static [&'static str] {
    let legacy = chosen.is_some_and(|chosen| chosen.backend == Backend::Legacy);
    if legacy && !root.exists(IP_TABLES) && root.exists("/proc/modules") { &LEGACY } else { &[] }
}

/// Asks for modules, and tells whether ip_tables came.
#[must_use]
pub fn load(modules: &[&str]) -> bool {
    for module in modules {
        // The answer is that there is no such link; what counts is the question.
        let _ = nix::net::if_::if_nametoindex(*module);
    }
    Root::default().exists(IP_TABLES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iptables::Reason;

    #[test]
    fn only_legacy_on_a_kernel_with_modules() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        let chosen = |backend| Some(Chosen { backend, reason: Reason::Forced, program: None });
        assert!(missing(&root, chosen(Backend::Legacy).as_ref()).is_empty(), "no modules");
        std::fs::create_dir_all(folder.path().join("proc/net")).unwrap();
        std::fs::write(folder.path().join("proc/modules"), "").unwrap();
        assert_eq!(missing(&root, chosen(Backend::Legacy).as_ref()).len(), 6);
        assert!(missing(&root, chosen(Backend::Nft).as_ref()).is_empty());
        assert!(missing(&root, None).is_empty());
        std::fs::write(folder.path().join("proc/net/ip_tables_names"), "").unwrap();
        assert!(missing(&root, chosen(Backend::Legacy).as_ref()).is_empty(), "loaded already");
    }
}
