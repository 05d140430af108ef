//! The firewall rules of our own table, as messages for nf_tables: no program is run, and nobody else's rules are met.
//!
//! ```text
//! table ip dind {
//!   chain guard { type filter hook prerouting priority raw        # what route_localnet would let in
//!     iifname != "lo" ip daddr 127.0.0.0/8 drop
//!     iifname != "lo" ip saddr 127.0.0.0/8 drop }
//!   chain names { type nat hook prerouting priority dstnat - 1    # before a published port 53
//!     iifname != "lo" iifname != UPLINK iifname != BRIDGE ip daddr SERVER udp dport 53 dnat to 127.0.0.11:UDP
//!     iifname BRIDGE ip saddr RANGE ip daddr SERVER udp dport 53 dnat to 127.0.0.11:UDP }   # the same for TCP
//!   chain clamp { type filter hook forward priority mangle
//!     tcp flags & (syn|rst) == syn tcp option maxseg size set rt mtu }
//! }
//! ```
//!
//! What bridged mode has beside these is in [`crate::lane`].

use crate::lane::{self, Lane};
use crate::names::{EMBEDDED, Embedded};
use crate::nft::Content;
use crate::nfwire::{
    Batch, DESTINATION, FORWARD, NETWORK, PREROUTING, SOURCE, TRANSPORT, clamp_segments, drop_packet, equal,
    from, masked, not_from, payload, protocol, send_to,
};
use ipnet::Ipv4Net;
use nix::libc::{IPPROTO_TCP, IPPROTO_UDP};
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// Our table's name.
pub const TABLE: &str = "dind";

/// What the table is to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Inner containers reach the embedded name server.
    pub names: Option<Names>,
    /// TCP between inner networks and others uses segments that the smaller MTU of the two carries.
    pub clamp: bool,
    /// User-defined networks of a bridged node reach the outer network.
    #[serde(default)]
    pub lane: Option<Lane>,
}

/// Who reaches the embedded name server, and by which address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// The address of the bridge, which inner containers are told.
    pub server: Ipv4Addr,
    /// Where the embedded server listens.
    pub embedded: Embedded,
    /// What comes from the outer network has a name server of its own.
    pub uplink: Option<String>,
    /// Bridged mode: on the bridge are outer containers too; only this range is answered.
    pub bridged: Option<(String, Ipv4Net)>,
}

impl Rules {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// For people: `names, clamp`.
    #[must_use]
    pub fn words(&self) -> String {
        let words = [
            self.names.as_ref().map(|_| "names"),
            self.clamp.then_some("clamp"),
            self.lane.as_ref().map(|_| "lane"),
        ];
        words.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// The transaction that takes away all of ours that is there, and makes these in its place. Every removal, be it of
    /// what the same transaction has made, costs a wait (see [`crate::nft::Changed`]), so there is none for good measure.
    #[must_use]
    pub fn transaction(&self, there: &Content) -> Batch {
        let mut batch = Batch::default();
        if there.has(TABLE) {
            batch.remove_table(TABLE);
        }
        lane::forget(there, &mut batch);
        if !self.is_empty() {
            self.write(&mut batch);
        }
        batch
    }

    fn write(&self, batch: &mut Batch) {
        batch.table(TABLE);
        if let Some(names) = &self.names {
            batch.chain(TABLE, "guard", "filter", PREROUTING, -300);
            for offset in [DESTINATION, SOURCE] {
                let loopback = [payload(NETWORK, offset, 1), equal(&[127])].concat();
                batch.rule(TABLE, "guard", &[not_from("lo"), loopback, drop_packet()].concat());
            }
            batch.chain(TABLE, "names", "nat", PREROUTING, -101);
            for asker in names.askers() {
                for (number, port) in
                    [(IPPROTO_UDP, Some(names.embedded.udp)), (IPPROTO_TCP, names.embedded.tcp)]
                {
                    let Some(port) = port else { continue };
                    let server = [payload(NETWORK, DESTINATION, 4), equal(&names.server.octets())].concat();
                    let asked = [payload(TRANSPORT, 2, 2), equal(&53_u16.to_be_bytes())].concat();
                    let rule =
                        [asker.clone(), server, protocol(number), asked, send_to(EMBEDDED, port)].concat();
                    batch.rule(TABLE, "names", &rule);
                }
            }
        }
        if self.clamp {
            batch.chain(TABLE, "clamp", "filter", FORWARD, -150);
            // SYN without RST; byte 13 of the TCP header holds the flags.
            let syn = [payload(TRANSPORT, 13, 1), masked(&[0x06]), equal(&[0x02])].concat();
            batch.rule(TABLE, "clamp", &[protocol(IPPROTO_TCP), syn, clamp_segments()].concat());
        }
        if let Some(lane) = &self.lane {
            lane.write(batch);
        }
    }
}

impl Names {
    /// Who is answered: all inner networks, and of a bridge that outer containers are on too, only the range.
    fn askers(&self) -> Vec<Vec<u8>> {
        let bridge = self.bridged.as_ref().map(|(bridge, _)| bridge.as_str());
        let strangers = [Some("lo"), self.uplink.as_deref(), bridge];
        let inner: Vec<_> = strangers.into_iter().flatten().map(not_from).collect();
        let range = self.bridged.as_ref().map(|(bridge, range)| {
            let source = [payload(NETWORK, SOURCE, 4), masked(&range.netmask().octets())].concat();
            [from(bridge), source, equal(&range.network().octets())].concat()
        });
        [Some(inner.concat()), range].into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nft::Found;

    #[test]
    fn only_what_is_ours_and_there_is_removed() {
        let rule = |handle, comment: Option<&str>| Found { handle, comment: comment.map(str::to_owned) };
        let there = |tables: &[&str], filter: &[&str], docker_user: Vec<Found>| Content {
            generation: 1,
            tables: tables.iter().map(|name| (2, (*name).to_owned())).collect(),
            filter: filter.iter().map(|name| (*name).to_owned()).collect(),
            docker_user,
            forward: false,
        };
        let ours = || vec![rule(7, Some("dind")), rule(8, Some("dind"))];
        for (there, removals) in [
            (there(&[], &[], vec![]), ""),
            (there(&["nat"], &[], vec![]), ""),
            (there(&["dind"], &[], vec![]), "dind"),
            (there(&["dind", "filter"], &["DOCKER-USER"], ours()), "dind filter"),
            (there(&["filter"], &["DOCKER-USER"], vec![]), ""),
            (there(&["filter"], &["DOCKER-USER"], vec![rule(6, None)]), ""),
            (there(&["filter"], &["DOCKER-USER", "FORWARD"], ours()), "7 8"),
            (
                there(&["dind", "filter"], &["DOCKER-USER"], [vec![rule(6, None)], ours()].concat()),
                "dind 7 8",
            ),
        ] {
            let lane = Lane { bridge: "docker0".to_owned(), range: "10.77.1.0/24".parse().unwrap() };
            let wanted = Rules { lane: Some(lane), ..Rules::default() };
            assert_eq!(wanted.transaction(&there).removals(), removals, "{there:?}");
            assert_eq!(Rules::default().transaction(&there).removals(), removals, "{there:?}");
            assert_eq!(Rules::default().transaction(&there).is_empty(), removals.is_empty(), "{there:?}");
        }
    }
}
