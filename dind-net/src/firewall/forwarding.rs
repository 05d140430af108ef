//! Forwarding of IPv4, switched on ahead of dockerd, and as dockerd has it: only what a rule accepts is forwarded.
//!
//! dockerd switches `ip_forward` on, and if it was off, sets the policy of `FORWARD` to drop; where forwarding is on
//! already it leaves both alone (moby, `setupIPv4Forwarding`). Between its two steps everything is forwarded, and to
//! change the policy of a chain takes a grace period of RCU ([`crate::nft::Changed`]), for which its start waits. A chain
//! that is made with its policy takes no time, and is there before anything is forwarded.
//!
//! ```text
//! table ip filter { chain FORWARD { type filter hook forward priority filter; policy drop; comment "dind" } }
//! ```
//!
//! `iptables-nft` takes this chain for the one that it would make itself.

use crate::lane::{COMMENT, DOCKER_USER, FILTER, only_ours};
use crate::nft::{self, Content};
use crate::nfwire::Batch;
use dind_contract::{State, Steps};
use std::fs;
use std::io;

/// Whether packets are forwarded at all (kernel, ip-sysctl).
pub const IP_FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";
/// The chain for what is forwarded.
pub(crate) const CHAIN: &str = "FORWARD";

/// The step's name.
pub const OP: &str = "enable-forwarding";
/// The name of the step that takes it back.
pub const UNDO: &str = "disable-forwarding";
/// The target of both.
pub const TARGET: &str = "net.ipv4.ip_forward, policy drop of ip filter FORWARD";

/// Makes the chain, and switches forwarding on. Where there is such a chain already, its policy is somebody's will, and
/// this is left to dockerd; so is what fails, for dockerd tries it again and tells the cause.
pub fn enable(steps: &mut Steps) {
    let made = nft::change(|there| {
        let mut batch = Batch::default();
        if !there.filter.iter().any(|chain| chain == CHAIN) {
            batch.table(FILTER);
            batch.forward_chain(FILTER, CHAIN, COMMENT);
        }
        batch
    });
    if !made.is_ok_and(|changed| changed.happened()) {
        return;
    }
    match fs::write(IP_FORWARD, "1") {
        Ok(()) => steps.push(OP, TARGET, State::Done),
        Err(_) => drop(disable()),
    }
}

/// Takes it back where nobody has used it since: an engine's rules are in that chain. Tells whether it did. Kernels before
/// 5.9 keep no comment on a chain: there it is not known to be ours, and stays.
///
/// # Errors
/// The kernel's.
pub fn disable() -> io::Result<bool> {
    if !nft::look().forward {
        return Ok(false);
    }
    // Before the chain goes: without its policy everything would be forwarded.
    fs::write(IP_FORWARD, "0")?;
    nft::change(forget).map(|changed| changed.happened())
}

fn forget(there: &Content) -> Batch {
    let mut batch = Batch::default();
    if there.forward && there.docker_user.is_empty() && is_all(there) {
        batch.remove_table(FILTER);
    } else if there.forward {
        batch.remove_chain(FILTER, CHAIN);
    }
    batch
}

/// Whether `ip filter` holds our chain, and else nothing but what is ours.
pub(crate) fn is_all(there: &Content) -> bool {
    let known = |chain: &String| chain == CHAIN || chain == DOCKER_USER;
    there.forward && there.filter.iter().all(known) && only_ours(there)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nft::Found;

    #[test]
    fn only_what_nobody_uses_goes() {
        let rule = |comment: &str| Found { handle: 9, comment: Some(comment.to_owned()) };
        for (forward, filter, docker_user, removals) in [
            (true, &["FORWARD"][..], vec![], "filter"),
            (true, &["DOCKER-USER", "FORWARD"], vec![], "filter"),
            (true, &["DOCKER-USER", "FORWARD"], vec![rule("dind")], "filter FORWARD"),
            (true, &["DOCKER-USER", "FORWARD"], vec![rule("mine")], "filter FORWARD"),
            (true, &["FORWARD", "INPUT", "OUTPUT"], vec![], "filter FORWARD"),
            (false, &["FORWARD"], vec![], ""),
            (false, &[], vec![], ""),
        ] {
            let filter = filter.iter().map(|name| (*name).to_owned()).collect();
            let there = Content { forward, filter, docker_user, ..Content::default() };
            assert_eq!(forget(&there).removals(), removals, "{there:?}");
        }
    }
}
