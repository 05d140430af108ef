//! A way for user-defined networks of a bridged node, past Docker's isolation of networks from each other.
//!
//! In bridged mode the default bridge is also the way out, and dockerd drops what passes from one of its bridges to
//! another: without this, containers on user-defined networks reach the node and nothing else. `DOCKER-USER` is the
//! chain that dockerd asks first and leaves alone; what is in it before it starts stays (docs.docker.com,
//! "Packet filtering and firewalls").
//!
//! ```text
//! table ip filter { chain DOCKER-USER {
//!     iifname BRIDGE oifname != BRIDGE ip saddr != RANGE accept     # answers, and published ports
//!     iifname != BRIDGE oifname BRIDGE ip daddr != RANGE accept } } # the way out
//! table ip dind { chain lane { type filter hook forward priority filter - 1
//!     iifname BRIDGE oifname != BRIDGE ip saddr != RANGE ct state established,related accept
//!     iifname BRIDGE oifname != BRIDGE ip saddr != RANGE ct status dnat accept
//!     iifname BRIDGE oifname != BRIDGE ip saddr != RANGE drop } }
//! ```
//!
//! Inner containers on the default bridge, which are the range, stay isolated from user-defined networks.

use crate::nft::{Content, Found};
use crate::nfwire::{
    Batch, DESTINATION, FORWARD, NETWORK, SOURCE, TRACKED_DNAT, TRACKED_ESTABLISHED, TRACKED_RELATED, accept,
    differs, drop_packet, from, masked, not_from, not_to, payload, to, tracked_state, tracked_status,
};
use crate::ruleset::TABLE;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

/// The table that `iptables-nft` writes to.
pub const FILTER: &str = "filter";
/// Its chain that Docker leaves to others.
pub const DOCKER_USER: &str = "DOCKER-USER";
/// The comment by which what is ours in Docker's table is told from what is not.
pub(crate) const COMMENT: &str = "dind";

/// What is let through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lane {
    /// The bridge, which is the way out.
    pub bridge: String,
    /// The inner containers on it.
    pub range: Ipv4Net,
}

impl Lane {
    /// Our own table is there already.
    pub(crate) fn write(&self, batch: &mut Batch) {
        let stranger = |offset| {
            let prefix = masked(&self.range.netmask().octets());
            [payload(NETWORK, offset, 4), prefix, differs(&self.range.network().octets())].concat()
        };
        let inwards = [from(&self.bridge), not_to(&self.bridge), stranger(SOURCE)].concat();
        let outwards = [not_from(&self.bridge), to(&self.bridge), stranger(DESTINATION)].concat();
        batch.chain(TABLE, "lane", "filter", FORWARD, -1);
        for verdict in [
            [tracked_state(TRACKED_ESTABLISHED | TRACKED_RELATED), accept()].concat(),
            [tracked_status(TRACKED_DNAT), accept()].concat(),
            drop_packet(),
        ] {
            batch.rule(TABLE, "lane", &[inwards.clone(), verdict].concat());
        }
        batch.table(FILTER);
        batch.plain_chain(FILTER, DOCKER_USER);
        for way in [inwards, outwards] {
            batch.first_rule(FILTER, DOCKER_USER, &[way, accept()].concat(), COMMENT);
        }
    }
}

/// Whether `ip filter` is what we made for Docker, and nobody else came.
pub(crate) fn made_filter(there: &Content) -> bool {
    there.filter == [DOCKER_USER] && !there.docker_user.is_empty() && only_ours(there)
}

/// Whether Docker's chain holds no rule but ours.
pub(crate) fn only_ours(there: &Content) -> bool {
    there.docker_user.iter().all(is_ours)
}

/// Removes our rules from Docker's chain, and the table that we made for them.
pub(crate) fn forget(there: &Content, batch: &mut Batch) {
    if made_filter(there) {
        batch.remove_table(FILTER);
        return;
    }
    for rule in there.docker_user.iter().filter(|rule| is_ours(rule)) {
        batch.remove_rule(FILTER, DOCKER_USER, rule.handle);
    }
}

fn is_ours(rule: &Found) -> bool {
    rule.comment.as_deref() == Some(COMMENT)
}
