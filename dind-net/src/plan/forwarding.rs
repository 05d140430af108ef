//! Whether packets are forwarded: switched on ahead of the engine.
//!
//! With iptables dockerd would do it itself, and later ([`crate::firewall::forwarding`]). With nftables it only checks, and does not
//! start where forwarding is off: there we do it, unless somebody has said that we shall not.

use crate::facts::Facts;
use crate::firewall::content::ForwardChain;
use crate::firewall::forwarding::IP_FORWARD;
use crate::firewall::rules::Rules;
use crate::options::Options;
use crate::plan::firewall::Firewall;
use crate::plan::step::Step;

/// What was decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarding {
    /// What has to be done before the uplink is bridged.
    pub before: Vec<Step>,
    /// What has to be done when everything else is: routes that routers have announced go when IPv6 is forwarded, and so must have
    /// been moved by then.
    pub after: Vec<Step>,
    /// Our rules have to close what is switched on: for IPv4, for IPv6.
    pub closes: (bool, bool),
}

/// Decides. In the machine's own network it is not for us to say what is forwarded.
#[must_use]
pub fn decide(facts: &Facts, options: &Options, firewall: &Firewall) -> Forwarding {
    // What an earlier run has switched on, and closed.
    let found = facts.rules.as_ref().map(|record| &record.rules);
    let (ours, ours6) = found.map_or((false, false), |rules| (rules.forwarding, rules.forwarding6));
    if facts.host_network {
        return Forwarding::default();
    }
    if !firewall.is_native() {
        let missing = facts.forward_chain == ForwardChain::Missing;
        let wanted = options.forward == Some(true) && !options.no_bridge && firewall.iptables.is_nft();
        // ip_tables we cannot write to; and where the chain exists, its policy is somebody's will.
        let is_step = wanted && missing && (facts.forward_off || ours);
        return Forwarding {
            before: is_step.then_some(Step::EnableForwarding).into_iter().collect(),
            ..Forwarding::default()
        };
    }
    if options.forward == Some(false) {
        return Forwarding::default();
    }
    // A run before this one made it, for iptables.
    let chain = facts.forward_chain == ForwardChain::OursUnused;
    let off = facts.forward_off || chain;
    let off6 = facts.native.forward6_off.clone();
    let closes = (off || ours, !off6.is_empty() || ours6);
    let controls: Vec<_> = off.then(|| IP_FORWARD.to_owned()).into_iter().chain(off6).collect();
    Forwarding {
        before: chain.then_some(Step::DisableForwarding).into_iter().collect(),
        after: if controls.is_empty() { Vec::new() } else { vec![Step::SwitchForwardingOn { controls }] },
        closes,
    }
}

/// The controls to switch off when rules of ours go that closed what we had switched on.
#[must_use]
pub fn to_switch_off(rules: &Rules) -> Vec<String> {
    let ipv6 = ["all", "default"].map(|link| crate::facts::ipv6::control(link, "forwarding"));
    let ipv6 = ipv6.into_iter().filter(|_| rules.forwarding6);
    rules.forwarding.then(|| IP_FORWARD.to_owned()).into_iter().chain(ipv6).collect()
}
