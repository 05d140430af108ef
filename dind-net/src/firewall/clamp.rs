//! Segments that fit: TCP between inner networks and others uses segments that the smaller MTU of the two carries.
//!
//! ```text
//! table ip dind { chain clamp { type filter hook forward priority mangle
//!     tcp flags & (syn|rst) == syn tcp option maxseg size set rt mtu } }
//! ```

use crate::firewall::names::TABLE;
use crate::netlink::nftables::batch::{Batch, FORWARD, Hook};
use crate::netlink::nftables::expr::{TRANSPORT, clamp_segments, equal, masked, payload, protocol};
use nix::libc::IPPROTO_TCP;

const CHAIN: &str = "clamp";

/// Adds the chain; our own table exists by then.
pub(crate) fn write(batch: &mut Batch) {
    batch.chain(TABLE, CHAIN, Hook { kind: "filter", number: FORWARD, priority: -150 });
    // SYN without RST; byte 13 of the TCP header holds the flags.
    let syn = [payload(TRANSPORT, 13, 1), masked(&[0x06]), equal(&[0x02])].concat();
    batch.rule(TABLE, CHAIN, &[protocol(IPPROTO_TCP), syn, clamp_segments()].concat());
}
