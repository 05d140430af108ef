//! What is: the network by netlink, the rest by files. A captured machine has `/.dind/net.json` for the former.

use crate::fault;
use crate::forward::IP_FORWARD;
use crate::iptables::Installed;
use crate::journal::{self, Journal};
use crate::names::{EMBEDDED, Embedded};
use crate::net::Net;
use crate::nft::{self, Listing, Tables};
use crate::rtnl::Netlink;
use crate::rules::{self, Record};
use dind_contract::{Fault, Root};
use nix::unistd::{AccessFlags, access};
use std::net::IpAddr;
use std::path::Path;

/// The network of a captured machine, as [`Net`].
pub const CAPTURED_NET: &str = "/.dind/net.json";
/// The state of nf_tables of a captured machine, as [`Tables`].
pub const CAPTURED_NFT: &str = "/.dind/nft.json";

/// Exists in the machine's first network namespace alone (`net_core_table` of net/core/sysctl_net_core.c is
/// registered for `init_net`), whatever the container is allowed otherwise.
const INIT_NET_ONLY: &str = "/proc/sys/net/core/netdev_budget";

/// What decisions are made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Links, addresses, routes and what belongs to them, as they are now.
    pub net: Net,
    /// The journal, if it speaks of this network namespace.
    pub journal: Option<Journal>,
    /// Whether the network namespace is the machine's own.
    pub host_network: bool,
    /// IPv4 is not forwarded, and we may change that.
    pub forward_off: bool,
    /// The name servers that dockerd would look at.
    pub resolvers: Vec<IpAddr>,
    /// The resolver's options, such as `ndots:0`.
    pub resolver_options: Vec<String>,
    /// Docker's embedded name server, where it is one of them.
    pub embedded: Option<Embedded>,
    /// What our own table of firewall rules holds, where there is one.
    pub rules: Option<Record>,
    /// iptables programs and tables.
    pub iptables: Installed,
}

impl Facts {
    /// Reads everything below `root`.
    ///
    /// # Errors
    /// [`fault::NETLINK_FAILED`], [`fault::READ_FAILED`], [`fault::FACTS_INVALID`].
    pub fn observe(root: &Root, state: &Path) -> Result<Self, Fault> {
        let record = rules::read(root, state)?;
        let (net, listing) = if root.is_host() {
            let read = Netlink::open().and_then(|netlink| netlink.read());
            (read.map_err(fault::unlistable)?, nft::look())
        } else {
            (
                captured(root, CAPTURED_NET)?.unwrap_or_default(),
                Listing {
                    tables: captured::<Tables>(root, CAPTURED_NFT)?.unwrap_or_default(),
                    own: record.is_some(),
                    ..Listing::default()
                },
            )
        };
        let unread = |path: &'static str| move |error| fault::unreadable(path, error);
        let (resolvers, resolver_options) = resolvers(root)?;
        let embedded = match resolvers.contains(&IpAddr::V4(EMBEDDED)) {
            true => Embedded::observe(root).map_err(unread("/proc/net/udp"))?,
            false => None,
        };
        Ok(Self {
            journal: journal::read(root, state)?.filter(|journal| journal.is_live(&net)),
            host_network: root.exists(INIT_NET_ONLY),
            forward_off: forward_off(root),
            resolvers,
            resolver_options,
            embedded,
            rules: record.filter(|_| listing.own),
            iptables: Installed::observe(root, listing.tables)
                .map_err(unread("/proc/net/ip_tables_names"))?,
            net,
        })
    }

    /// The network before dind-net changed it.
    #[must_use]
    pub fn before(&self) -> &Net {
        self.journal.as_ref().map_or(&self.net, |journal| &journal.before)
    }
}

fn captured<T: serde::de::DeserializeOwned>(root: &Root, path: &'static str) -> Result<Option<T>, Fault> {
    let text = root.read_opt(path).map_err(|error| fault::unreadable(path, error))?;
    text.map(|text| serde_json::from_str(&text)).transpose().map_err(|error| {
        fault::FACTS_INVALID.cannot("read", path, error).hint("see the captured machines in tests/cases")
    })
}

/// What cannot be read or written is not ours to switch on: dockerd tries, and tells why.
fn forward_off(root: &Root) -> bool {
    root.read_opt(IP_FORWARD).is_ok_and(|text| text.is_some_and(|text| text.trim() == "0"))
        && access(&root.path(IP_FORWARD), AccessFlags::W_OK).is_ok()
}

/// The addresses and options that dockerd would take: systemd-resolved's upstreams where its stub is all there is
/// (moby, `resolvconf.Path`).
fn resolvers(root: &Root) -> Result<(Vec<IpAddr>, Vec<String>), Fault> {
    let read = |path: &str| {
        let text = root.read_opt(path).map_err(|error| fault::unreadable(path, error))?.unwrap_or_default();
        Ok((parse_resolvers(&text), parse_options(&text)))
    };
    let found = read("/etc/resolv.conf")?;
    let stub = IpAddr::from([127, 0, 0, 53]);
    if found.0 == [stub] {
        let upstream = read("/run/systemd/resolve/resolv.conf")?;
        if !upstream.0.is_empty() {
            return Ok(upstream);
        }
    }
    Ok(found)
}

/// The words of the last `options` line of a resolv.conf(5).
#[must_use]
pub fn parse_options(text: &str) -> Vec<String> {
    let mut lines = text.lines().filter_map(|line| line.trim_start().strip_prefix("options"));
    let last = lines.rfind(|rest| rest.starts_with(char::is_whitespace));
    last.map(|rest| rest.split_whitespace().map(str::to_owned).collect()).unwrap_or_default()
}

/// The `nameserver` lines of a resolv.conf(5); a zone such as `%eth0` is cut off.
#[must_use]
pub fn parse_resolvers(text: &str) -> Vec<IpAddr> {
    let mut servers = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if words.next() == Some("nameserver")
            && let Some(word) = words.next()
            && let Ok(address) = word.split('%').next().unwrap_or(word).parse()
        {
            servers.push(address);
        }
    }
    servers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolv_conf() {
        let text = "# nameserver 1.1.1.1\nsearch example\nnameserver 10.0.0.2\n\tnameserver\tfe80::1%eth0\nnameserver x\nnameserver";
        let want: Vec<IpAddr> = vec!["10.0.0.2".parse().unwrap(), "fe80::1".parse().unwrap()];
        assert_eq!(parse_resolvers(text), want);
        assert_eq!(parse_options(text), Vec::<String>::new());
        assert_eq!(parse_options("options a\noptionsx b\n options ndots:0  edns0\n"), ["ndots:0", "edns0"]);
    }
}
