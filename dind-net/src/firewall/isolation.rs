//! Isolation of the bridges of a bridged node: user-defined networks get past Docker's, to the outer network and no further.
//!
//! In bridged mode the default bridge is also the way out, and dockerd drops what passes from one of its bridges to
//! another: without this, containers on user-defined networks reach the node and nothing else. What is in `DOCKER-USER`
//! before dockerd starts stays there.
//!
//! ```text
//! table ip filter { chain DOCKER-USER {
//!     iifname BRIDGE oifname != BRIDGE ip saddr != RANGE accept     # answers, and published ports
//!     iifname != BRIDGE oifname BRIDGE ip daddr != RANGE accept } } # the way out
//! table ip dind { chain isolation { type filter hook forward priority filter - 1
//!     iifname BRIDGE oifname != BRIDGE ip saddr != RANGE ct state established,related accept
//!     iifname BRIDGE oifname != BRIDGE ip saddr != RANGE ct status dnat accept
//!     iifname BRIDGE oifname != BRIDGE ip saddr != RANGE drop } }
//! ```
//!
//! Inner containers on the default bridge, which are the range, stay isolated from user-defined networks.
//!
//! An engine that writes its rules to nf_tables itself has no `DOCKER-USER`, and accepts what has a mark of our choice
//! (`bridge-accept-fwmark`; moby, nftabler/network.go). Answers and published ports it lets in by itself, and nothing else. So there
//! our table alone has a rule:
//!
//! ```text
//! table ip dind { chain isolation { type filter hook forward priority filter - 1
//!     iifname != BRIDGE oifname BRIDGE ip daddr != RANGE meta mark set meta mark & ~MASK | MARK } }
//! ```

use crate::firewall::names::{COMMENT, DOCKER_USER, FILTER, TABLE};
use crate::netlink::nftables::batch::{Batch, FORWARD, Hook};
use crate::netlink::nftables::expr::{
    DESTINATION, NETWORK, SOURCE, TRACKED_DNAT, TRACKED_ESTABLISHED, TRACKED_RELATED, accept, differs,
    drop_packet, from, masked, not_from, not_to, payload, set_mark, to, tracked_state, tracked_status,
};
use crate::values::Mark;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

const CHAIN: &str = "isolation";

/// What is let through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Isolation {
    /// The bridge, which is the way out.
    pub bridge: String,
    /// The inner containers on it.
    pub range: Ipv4Net,
    /// The mark of what an engine with rules of its own in nf_tables is to let out.
    #[serde(default)]
    pub mark: Option<Mark>,
}

impl Isolation {
    /// Adds the chain and the rules; our own table exists by then.
    pub(crate) fn write(&self, batch: &mut Batch) {
        let outside_range = |offset| {
            let prefix = masked(&self.range.netmask().octets());
            [payload(NETWORK, offset, 4), prefix, differs(&self.range.network().octets())].concat()
        };
        let inwards = [from(&self.bridge), not_to(&self.bridge), outside_range(SOURCE)].concat();
        let outwards = [not_from(&self.bridge), to(&self.bridge), outside_range(DESTINATION)].concat();
        batch.chain(TABLE, CHAIN, Hook { kind: "filter", number: FORWARD, priority: -1 });
        if let Some(Mark { value, mask }) = self.mark {
            batch.rule(TABLE, CHAIN, &[outwards, set_mark(value, mask)].concat());
            return;
        }
        for verdict in [
            [tracked_state(TRACKED_ESTABLISHED | TRACKED_RELATED), accept()].concat(),
            [tracked_status(TRACKED_DNAT), accept()].concat(),
            drop_packet(),
        ] {
            batch.rule(TABLE, CHAIN, &[inwards.clone(), verdict].concat());
        }
        batch.table(FILTER);
        batch.plain_chain(FILTER, DOCKER_USER);
        for way in [inwards, outwards] {
            batch.first_rule(FILTER, DOCKER_USER, &[way, accept()].concat(), COMMENT);
        }
    }
}
