//! A name server on loopback, made reachable at the address of the bridge.
//!
//! ```text
//! table ip dind {
//!   chain guard { type filter hook prerouting priority raw        # what route_localnet would let in
//!     iifname != "lo" ip daddr 127.0.0.0/8 drop
//!     iifname != "lo" ip saddr 127.0.0.0/8 drop }
//!   chain dns { type nat hook prerouting priority dstnat - 1      # before a published port 53
//!     iifname != "lo" iifname != UPLINK iifname != BRIDGE ip daddr SERVER udp dport 53 dnat to TARGET:UDP
//!     iifname BRIDGE ip saddr RANGE ip daddr SERVER udp dport 53 dnat to TARGET:UDP }   # the same for TCP
//!   chain names { type nat hook output priority dstnat - 1        # inner containers and builds on the node's own network
//!     ip daddr SERVER udp dport 53 dnat to TARGET:UDP }
//! }
//! ```

use crate::firewall::names::TABLE;
use crate::netlink::nftables::batch::{Batch, Hook, OUTPUT, PREROUTING};
use crate::netlink::nftables::expr::{
    DESTINATION, NETWORK, SOURCE, TRANSPORT, drop_packet, equal, from, masked, not_from, payload, protocol,
    send_to,
};
use ipnet::Ipv4Net;
use nix::libc::{IPPROTO_TCP, IPPROTO_UDP};
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

const GUARD: &str = "guard";
const CHAIN: &str = "dns";
const OWN_CHAIN: &str = "names";
/// The port of name servers.
const DOMAIN: u16 = 53;

/// Who reaches the name server, and by which address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dns {
    /// The address of the bridge, which inner containers ask.
    pub server: Ipv4Addr,
    /// The address on loopback that the queries are sent to.
    pub target: Ipv4Addr,
    /// The UDP port there.
    pub udp: u16,
    /// The TCP port there.
    pub tcp: Option<u16>,
    /// The link to the outer network; what comes from there has a name server of its own.
    pub uplink: Option<String>,
    /// Bridged mode: outer containers are on the bridge too; only this range is answered.
    pub bridged: Option<(String, Ipv4Net)>,
}

impl Dns {
    /// Adds the chains; our own table exists by then.
    pub(crate) fn write(&self, batch: &mut Batch) {
        batch.chain(TABLE, GUARD, Hook { kind: "filter", number: PREROUTING, priority: -300 });
        for offset in [DESTINATION, SOURCE] {
            let loopback = [payload(NETWORK, offset, 1), equal(&[127])].concat();
            batch.rule(TABLE, GUARD, &[not_from("lo"), loopback, drop_packet()].concat());
        }
        batch.chain(TABLE, CHAIN, Hook { kind: "nat", number: PREROUTING, priority: -101 });
        batch.chain(TABLE, OWN_CHAIN, Hook { kind: "nat", number: OUTPUT, priority: -101 });
        let askers = self.askers().into_iter().map(|asker| (CHAIN, asker));
        for (chain, asker) in askers.chain([(OWN_CHAIN, Vec::new())]) {
            for (ipproto, port) in [(IPPROTO_UDP, Some(self.udp)), (IPPROTO_TCP, self.tcp)] {
                let Some(port) = port else { continue };
                let server = [payload(NETWORK, DESTINATION, 4), equal(&self.server.octets())].concat();
                let asked = [payload(TRANSPORT, 2, 2), equal(&DOMAIN.to_be_bytes())].concat();
                let sent = send_to(self.target, port);
                batch.rule(TABLE, chain, &[asker.clone(), server, protocol(ipproto), asked, sent].concat());
            }
        }
    }

    /// Who is answered: all inner networks, and the range alone on a bridge that outer containers share.
    fn askers(&self) -> Vec<Vec<u8>> {
        let bridge = self.bridged.as_ref().map(|(bridge, _)| bridge.as_str());
        let outside = [Some("lo"), self.uplink.as_deref(), bridge];
        let inner: Vec<_> = outside.into_iter().flatten().map(not_from).collect();
        let range = self.bridged.as_ref().map(|(bridge, range)| {
            let source = [payload(NETWORK, SOURCE, 4), masked(&range.netmask().octets())].concat();
            [from(bridge), source, equal(&range.network().octets())].concat()
        });
        [Some(inner.concat()), range].into_iter().flatten().collect()
    }
}
