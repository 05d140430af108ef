//! One change of a network namespace.

use crate::netlink::net::{Address, Neighbour, Route};
use std::fmt;

/// One change: one netlink request, or two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A bridge that is down, without spanning tree and forward delay.
    CreateBridge {
        /// Its name.
        name: String,
        /// Its hardware address, set for good: a bridge otherwise takes its ports' lowest.
        mac: String,
        /// Its MTU in bytes, set for good likewise.
        mtu: u32,
    },
    /// Another MTU.
    SetMtu {
        /// The link.
        link: String,
        /// Bytes.
        mtu: u32,
    },
    /// A link becomes a port of the bridge.
    Join {
        /// The link.
        port: String,
        /// The bridge.
        bridge: String,
    },
    /// A link leaves the bridge.
    Leave {
        /// The link.
        port: String,
        /// The bridge.
        bridge: String,
    },
    /// An address goes.
    RemoveAddress(Address),
    /// An address comes.
    AddAddress(Address),
    /// A link goes up.
    Up {
        /// The link.
        link: String,
    },
    /// A route goes.
    RemoveRoute(Route),
    /// A route comes.
    AddRoute(Route),
    /// A route takes the place of the one with the same destination and metric, with no moment between.
    ReplaceRoute(Route),
    /// All addresses of the link are announced, IPv4 by ARP, IPv6 by unsolicited neighbour advertisements; its neighbour
    /// table is emptied.
    Announce {
        /// The link.
        link: String,
        /// Its hardware address.
        mac: String,
    },
    /// A permanent neighbour comes.
    AddNeighbour(Neighbour),
    /// The bridge goes, with all that is on it.
    RemoveBridge {
        /// Its name.
        name: String,
    },
}

/// For people, in the words of ip(8).
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateBridge { name, mac, mtu } => write!(f, "{name} mac {mac} mtu {mtu}"),
            Self::SetMtu { link, mtu } => write!(f, "{link} {mtu}"),
            Self::Join { port, bridge } | Self::Leave { port, bridge } => write!(f, "{port} {bridge}"),
            Self::RemoveAddress(address) | Self::AddAddress(address) => {
                write!(f, "{} dev {}", address.address, address.link)
            }
            Self::Up { link } | Self::Announce { link, .. } => f.write_str(link),
            Self::RemoveRoute(route) | Self::AddRoute(route) | Self::ReplaceRoute(route) => {
                write!(f, "{}", route.to)?;
                if let Some(gateway) = route.gateway {
                    write!(f, " via {gateway}")?;
                }
                write!(f, " dev {}", route.link)
            }
            Self::AddNeighbour(neighbour) => {
                write!(f, "{} lladdr {} dev {}", neighbour.address, neighbour.mac, neighbour.link)
            }
            Self::RemoveBridge { name } => f.write_str(name),
        }
    }
}
