//! Frames that the outer bridge sends back to the node that they come from (`hairpinMode` of CNI's plugin `bridge`, which flannel
//! switches on; `hairpin` in bridge(8)).
//!
//! A bridge learns where a hardware address is from every frame. One of an inner container that comes back over the uplink would move
//! the container there, and answers to it would be lost. Broadcasts that come back are copies: they go. A frame for one of us is not:
//! the machine sends a connection to a service back where the service is the node's own, with its destination changed alone
//! (`br_nf_pre_routing_finish_bridge`, net/bridge/br_netfilter_hooks.c). It stays, with another source.
//!
//! ```text
//! table bridge dind {
//!   set inner { type ether_addr; size 65535; flags dynamic,timeout; timeout 10s }
//!   chain hairpin { type filter hook prerouting priority dstnat        # before the bridge learns
//!     iifname != UPLINK update @inner { ether saddr } accept
//!     ether saddr MAC ether daddr & 01:00:00:00:00:00 == 01:00:00:00:00:00 drop
//!     ether saddr @inner ether daddr & 01:00:00:00:00:00 == 01:00:00:00:00:00 drop
//!     ether saddr @inner ether saddr set 02:64:69:6e:64:00 }
//! }
//! ```
//!
//! Whether the outer bridge does so cannot be seen from here, and may change. A source is remembered for longer than any frame is on
//! its way, and no longer: an address may move to another node.

use crate::firewall::names::TABLE;
use crate::netlink::arp::Mac;
use crate::netlink::nftables::batch::{Batch, Hook, PREROUTING};
use crate::netlink::nftables::expr::{
    LINK, accept, among, drop_packet, equal, masked, not_from, payload, remember, write_payload,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

const CHAIN: &str = "hairpin";
const SET: &str = "inner";
const REMEMBERED: Duration = Duration::from_secs(10);
/// How many sources are remembered at most. A bridge has 1023 ports (BR_MAX_PORTS), and containers may have bridges of their own.
const SOURCES: u32 = 65535;
/// Of the Ethernet header.
const TO: u32 = 0;
const FROM: u32 = 6;
/// The bit of hardware addresses that stand for several (IEEE 802).
const GROUP: Mac = [1, 0, 0, 0, 0, 0];
/// What nobody has: a locally administered address.
const STAND_IN: Mac = *b"\x02dind\0";

/// What is told apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hairpin {
    /// The port of the bridge that leads to the outer network.
    pub uplink: String,
    /// The node's own hardware address.
    pub mac: Mac,
}

impl Hairpin {
    /// Adds the table; the batch is of the bridge's family.
    pub(crate) fn write(&self, batch: &mut Batch) {
        batch.table(TABLE);
        batch.address_set(TABLE, SET, SOURCES, REMEMBERED);
        batch.chain(TABLE, CHAIN, Hook { kind: "filter", number: PREROUTING, priority: -300 });
        let source = payload(LINK, FROM, GROUP.len() as u32);
        let group = [payload(LINK, TO, GROUP.len() as u32), masked(&GROUP), equal(&GROUP)].concat();
        let own = [source.clone(), equal(&self.mac)].concat();
        let inner = [source.clone(), among(SET)].concat();
        for rule in [
            [not_from(&self.uplink), source, remember(SET), accept()].concat(),
            [own, group.clone(), drop_packet()].concat(),
            [inner.clone(), group, drop_packet()].concat(),
            [inner, write_payload(LINK, FROM, &STAND_IN)].concat(),
        ] {
            batch.rule(TABLE, CHAIN, &rule);
        }
    }
}
