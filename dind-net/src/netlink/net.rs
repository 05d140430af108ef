//! Links, addresses, routes and what belongs to them, as rtnetlink reports them and as the file of a captured machine holds them.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A network namespace at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Net {
    /// In order of index.
    pub links: Vec<Link>,
    /// In the kernel's order, primary before secondary.
    pub addresses: Vec<Address>,
    /// Unicast routes of all tables but `local`.
    pub routes: Vec<Route>,
    /// Permanent entries of the neighbour tables; the kernel finds the others again by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub neighbours: Vec<Neighbour>,
    /// Policy rules that name a link; the others do not notice that a link's addresses move.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
}

/// A permanent entry of a neighbour table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// The link's name.
    pub link: String,
    /// Whose entry it is.
    pub address: IpAddr,
    /// The hardware address.
    pub mac: String,
}

/// A policy rule that holds for packets of one link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Lower comes first.
    pub priority: u32,
    /// The name of the link that packets come from or go to.
    pub link: String,
}

/// A network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its number in this namespace.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// `veth`, `bridge`, `macvlan`, …; none for hardware and loopback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// `02:42:ac:11:00:02`; none for links without hardware address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Bytes.
    pub mtu: u32,
    /// Administratively up.
    #[serde(default)]
    pub up: bool,
    /// The name of the bridge or bond it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master: Option<String>,
    /// Bridges only: whether spanning tree is on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stp: bool,
}

/// An address of a link. Lifetimes are not kept: a moved address is permanent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The link's name.
    pub link: String,
    /// With the prefix length of its subnet.
    pub address: IpNet,
    /// The other end, where it is not the address itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<IpAddr>,
    /// The broadcast address, if one is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broadcast: Option<std::net::Ipv4Addr>,
    /// IPv4 label: the link's name, or an old-style alias such as `eth0:1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// `rtm_scope` number of rtnetlink(7); 0 is global, 253 link.
    #[serde(default)]
    pub scope: u8,
    /// Those of the `IFA_F_*` bits that can be set.
    #[serde(default)]
    pub flags: u32,
    /// Metric of the prefix route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<u32>,
}

/// A unicast route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The link's name.
    pub link: String,
    /// The destination; `0.0.0.0/0` and `::/0` are the default routes.
    pub to: IpNet,
    /// The next hop; none for what is on the link itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// The source address that is preferred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    /// Lower wins.
    #[serde(default)]
    pub metric: u32,
    /// Routing table; 254 is `main`.
    pub table: u32,
    /// `rtm_protocol` number of rtnetlink(7); 2 is kernel, 3 boot.
    pub protocol: u8,
    /// `rtm_scope` number of rtnetlink(7).
    pub scope: u8,
    /// Type of service.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tos: u8,
    /// The next hop counts as on the link, whatever the addresses say.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub onlink: bool,
    /// `RTAX_*` metrics by number: 2 is the MTU.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<u16, u32>,
    /// What else it has that we could not restore: multipath, encapsulation, ….
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsupported: Option<String>,
}

/// `RTPROT_KERNEL`: made by the kernel out of an address, and made again with it.
pub const PROTOCOL_KERNEL: u8 = 2;
/// `RT_SCOPE_LINK`.
pub const SCOPE_LINK: u8 = 253;

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &u8) -> bool {
    *number == 0
}

impl Net {
    /// The link of that name.
    #[must_use]
    pub fn link(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.name == name)
    }

    /// The addresses of a link that can move: all but the link-local ones of IPv6, which every link makes for itself.
    pub fn addresses_of<'a>(&'a self, link: &'a str) -> impl Iterator<Item = &'a Address> {
        self.addresses.iter().filter(move |address| {
            address.link == link && !(address.address.addr().is_ipv6() && address.scope == SCOPE_LINK)
        })
    }

    /// The addresses of IPv6 that packets to other networks can come from: global or unique local ones, not those of `lo`.
    pub fn global6(&self) -> impl Iterator<Item = &Address> {
        let global = |address: &&Address| address.address.addr().is_ipv6() && address.scope == 0;
        self.addresses.iter().filter(global).filter(|address| address.link != "lo")
    }

    /// The routes of a link that can move: all that the kernel does not make out of addresses.
    pub fn routes_of<'a>(&'a self, link: &'a str) -> impl Iterator<Item = &'a Route> {
        self.routes.iter().filter(move |route| route.link == link && route.protocol != PROTOCOL_KERNEL)
    }
}

impl Route {
    /// Whether the kernel keeps only one of the two: same table, destination, type of service and metric.
    #[must_use]
    pub fn conflicts_with(&self, other: &Self) -> bool {
        let key = |route: &Self| (route.table, route.to, route.tos, route.metric);
        key(self) == key(other)
    }

    /// Whether it is a default route of IPv4 in the main table.
    #[must_use]
    pub fn is_default(&self) -> bool {
        matches!(self.to, IpNet::V4(to) if to.prefix_len() == 0) && self.table == 254
    }

    /// Whether it is a default route of IPv6 in the main table.
    #[must_use]
    pub fn is_default6(&self) -> bool {
        matches!(self.to, IpNet::V6(to) if to.prefix_len() == 0) && self.table == 254
    }
}
