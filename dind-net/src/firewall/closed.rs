//! Forwarding that we switch on ahead of an engine with rules of its own in nf_tables: it passes what goes to inner networks or
//! comes from them, which the engine has rules for, and nothing else.
//!
//! Such an engine only checks that packets are forwarded (moby, `checkIPv4Forwarding`), and makes no chain with a policy of drop, as
//! the other backend does. A drop of ours is final, whatever the engine accepts: so the chain lets everything through that meets a
//! bridge. Whether that is one of the engine's needs no list: all of them are bridges, those of networks to come too, and the uplink
//! is none.
//!
//! ```text
//! table ip dind { chain forwarding { type filter hook forward priority filter; policy drop;      # the same in table ip6 dind
//!     meta iifkind "bridge" accept
//!     meta oifkind "bridge" accept } }
//! ```

use crate::firewall::names::TABLE;
use crate::netlink::nftables::batch::{Batch, FORWARD, Hook};
use crate::netlink::nftables::expr::{accept, from_kind, to_kind};

const CHAIN: &str = "forwarding";
/// The kind of link that an engine's networks are (net/bridge/br_netlink.c).
const KIND: &str = "bridge";

/// Adds the chain; our own table exists by then.
pub(crate) fn write(batch: &mut Batch) {
    batch.closed_chain(TABLE, CHAIN, Hook { kind: "filter", number: FORWARD, priority: 0 });
    for way in [from_kind(KIND), to_kind(KIND)] {
        batch.rule(TABLE, CHAIN, &[way, accept()].concat());
    }
}
