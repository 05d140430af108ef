//! Forwarding of IPv4, switched on ahead of dockerd, and as dockerd has it: only what a rule accepts is forwarded.
//!
//! dockerd switches `ip_forward` on, and if it was off, sets the policy of `FORWARD` to drop; where forwarding is on
//! already it leaves both alone (moby, `setupIPv4Forwarding`). Between its two steps everything is forwarded, and to
//! change the policy of a chain takes a grace period of RCU ([`crate::firewall::transaction::Changed`]), for which its start
//! waits. A chain that is made with its policy takes no time, and is in force before anything is forwarded.
//!
//! ```text
//! table ip filter { chain FORWARD { type filter hook forward priority filter; policy drop; comment "dind" } }
//! ```
//!
//! `iptables-nft` takes this chain for the one that it would make itself.

use crate::firewall::content::{Content, ForwardChain};
use crate::firewall::names::{COMMENT, FILTER, FORWARD_CHAIN};
use crate::netlink::nftables::batch::{Batch, FORWARD, Hook};

/// The file, in the state directory, that notes that an apply switches forwarding on: without `CAP_NET_ADMIN` nobody sees the
/// chain.
pub const FILE: &str = "net-forwarding.json";
/// Whether packets are forwarded at all (kernel, ip-sysctl).
pub const IP_FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";

/// Makes the chain. Where there is one already, its policy is somebody's will, and this changes nothing.
#[must_use]
pub fn create(content: &Content) -> Batch {
    let mut batch = Batch::default();
    if content.forward == ForwardChain::Missing {
        batch.table(FILTER);
        let hook = Hook { kind: "filter", number: FORWARD, priority: 0 };
        batch.dropping_chain(FILTER, FORWARD_CHAIN, hook, COMMENT);
    }
    batch
}

/// Removes the chain where nobody has used it since: the rules of an engine are in that chain.
#[must_use]
pub fn remove(content: &Content) -> Batch {
    let mut batch = Batch::default();
    if content.forward == ForwardChain::OursUnused {
        if content.docker_user.is_empty() && content.filter_is_ours() {
            batch.remove_table(FILTER);
        } else {
            batch.remove_chain(FILTER, FORWARD_CHAIN);
        }
    }
    batch
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::nftables::answer::Rule;

    #[test]
    fn only_what_nobody_uses_is_removed() {
        let rule = |comment: &str| Rule { handle: 9, comment: Some(comment.to_owned()) };
        let (ours, in_use) = (ForwardChain::OursUnused, ForwardChain::InUse);
        for (forward, filter, docker_user, removals) in [
            (ours, &["FORWARD"][..], vec![], "filter"),
            (ours, &["DOCKER-USER", "FORWARD"], vec![], "filter"),
            (ours, &["DOCKER-USER", "FORWARD"], vec![rule("dind")], "filter FORWARD"),
            (ours, &["DOCKER-USER", "FORWARD"], vec![rule("mine")], "filter FORWARD"),
            (ours, &["FORWARD", "INPUT", "OUTPUT"], vec![], "filter FORWARD"),
            (in_use, &["FORWARD"], vec![], ""),
            (ForwardChain::Missing, &[], vec![], ""),
        ] {
            let filter = filter.iter().map(|name| (*name).to_owned()).collect();
            let content = Content { forward, filter, docker_user, ..Content::default() };
            assert_eq!(remove(&content).removals(), removals, "{content:?}");
            assert_eq!(create(&content).is_empty(), forward != ForwardChain::Missing, "{content:?}");
        }
    }
}
