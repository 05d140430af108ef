//! What the uplink had before the first change: the file that a later run finishes, or restores from.

use crate::fault;
use crate::json_file;
use crate::netlink::net::{Address, Link, Neighbour, Net, Route};
use dind_contract::Fault;
use dind_system::Root;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The file's name in the state directory.
pub const FILE: &str = "net.json";

/// The bridge, and whose place it takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bridging {
    /// The bridge's name.
    pub bridge: String,
    /// The link that joins it.
    pub uplink: String,
    /// The uplink's hardware address, and the bridge's.
    pub mac: String,
    /// The bridge's MTU in bytes.
    pub mtu: u32,
}

/// The file's content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Original {
    /// What is being bridged.
    pub bridging: Bridging,
    /// The uplink's number, by which a new namespace is distinguished from the old one.
    pub uplink_index: u32,
    /// The uplink and all that was on it.
    pub before: Net,
}

impl Original {
    /// Reads the file below `root`; nothing where there is none.
    ///
    /// # Errors
    /// [`fault::READ_FAILED`], also for one that cannot be understood: it may hold the only copy of the routes.
    pub fn read(root: &Root, state: &Path) -> Result<Option<Self>, Fault> {
        let path = state.join(FILE);
        json_file::read(root, &path)?.transpose().map_err(|error| {
            fault::READ_FAILED
                .cannot("read", path.display(), error)
                .hint("remove the file if this container was started anew; its network is as Docker made it")
        })
    }

    /// What the uplink had, where only the network is left of the run that bridged it: a pod's network outlives its containers, and a
    /// new container has no file of the one before. The bridge has everything by then, and of its ports it has the uplink's
    /// hardware address; links of inner containers have others, and are gone with them. The default route tells it from a bridge of
    /// default mode, whose hardware address may be that of a container's link.
    #[must_use]
    pub fn recovered(net: &Net, bridge: &str) -> Option<Self> {
        let link = net.link(bridge).filter(|link| link.kind.as_deref() == Some("bridge"))?;
        net.routes_of(bridge).find(|route| route.to.prefix_len() == 0)?;
        let mac = link.mac.clone()?;
        let uplink = net
            .links
            .iter()
            .find(|port| port.master.as_deref() == Some(bridge) && port.mac.as_deref() == Some(&mac))?;
        let name = || uplink.name.clone();
        let own = |label: &String| label.replacen(bridge, &uplink.name, 1);
        let before = Net {
            links: vec![Link { master: None, ..uplink.clone() }],
            addresses: net
                .addresses_of(bridge)
                .map(|address| Address {
                    link: name(),
                    label: address.label.as_ref().map(own),
                    ..address.clone()
                })
                .collect(),
            routes: net.routes_of(bridge).map(|route| Route { link: name(), ..route.clone() }).collect(),
            neighbours: net
                .neighbours
                .iter()
                .filter(|neighbour| neighbour.link == bridge)
                .map(|neighbour| Neighbour { link: name(), ..neighbour.clone() })
                .collect(),
            rules: Vec::new(),
        };
        let bridging = Bridging { bridge: bridge.to_owned(), uplink: name(), mac, mtu: link.mtu };
        Some(Self { bridging, uplink_index: uplink.index, before })
    }

    /// Whether it describes this network namespace as it is now.
    ///
    /// The bridge is the first thing made and the last one removed, so without it there is nothing to finish. A
    /// container that starts again keeps its files but gets a new namespace: no bridge, or another uplink.
    #[must_use]
    pub fn is_live(&self, net: &Net) -> bool {
        net.link(&self.bridging.bridge).is_some()
            && net.link(&self.bridging.uplink).is_some_and(|link| {
                link.index == self.uplink_index && link.mac.as_deref() == Some(&self.bridging.mac)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::transition::{to_bridged, to_original};
    use ipnet::IpNet;

    fn link(index: u32, name: &str, kind: &str, mac: &str, master: Option<&str>) -> Link {
        let (kind, mac) = (Some(kind.to_owned()), Some(mac.to_owned()));
        let master = master.map(str::to_owned);
        Link { index, name: name.to_owned(), kind, mac, mtu: 1400, up: true, master, stp: false }
    }

    fn bridged() -> Net {
        let network = |text: &str| text.parse::<IpNet>().unwrap();
        let address = Address {
            link: "docker0".to_owned(),
            address: network("10.244.0.2/16"),
            peer: None,
            broadcast: None,
            label: Some("docker0".to_owned()),
            scope: 0,
            flags: 0,
            metric: None,
        };
        let route = Route {
            link: "docker0".to_owned(),
            to: network("0.0.0.0/0"),
            gateway: Some([10, 244, 0, 1].into()),
            source: None,
            metric: 0,
            table: 254,
            protocol: 3,
            scope: 0,
            tos: 0,
            onlink: false,
            metrics: [].into(),
            unsupported: None,
        };
        Net {
            links: vec![
                link(2, "eth0", "veth", "02:00:00:00:00:01", Some("docker0")),
                link(3, "docker0", "bridge", "02:00:00:00:00:01", None),
                link(9, "veth1", "veth", "02:00:00:00:00:09", Some("docker0")),
            ],
            addresses: vec![address],
            routes: vec![route],
            ..Net::default()
        }
    }

    #[test]
    fn what_a_bridge_has_was_the_uplink_s() {
        let net = bridged();
        let found = Original::recovered(&net, "docker0").unwrap();
        assert!(found.is_live(&net));
        assert_eq!((found.bridging.uplink.as_str(), found.uplink_index), ("eth0", 2));
        assert_eq!(found.before.addresses[0].label.as_deref(), Some("eth0"));
        assert_eq!(to_bridged(&found.bridging, &net, &found.before), []);
        let back: Vec<_> =
            to_original(&found.bridging, &net, &found.before).iter().map(ToString::to_string).collect();
        assert!(back.contains(&"10.244.0.2/16 dev eth0".to_owned()), "{back:?}");
        assert!(back.contains(&"0.0.0.0/0 via 10.244.0.1 dev eth0".to_owned()), "{back:?}");
    }

    #[test]
    fn another_bridge_is_not_taken_for_ours() {
        assert_eq!(Original::recovered(&bridged(), "br0"), None);
        let mut without_uplink = bridged();
        without_uplink.links.remove(0);
        assert_eq!(Original::recovered(&without_uplink, "docker0"), None);
        // That of default mode, with a container on it whose address it has taken.
        let mut default_mode = bridged();
        default_mode.routes.clear();
        assert_eq!(Original::recovered(&default_mode, "docker0"), None);
    }
}
