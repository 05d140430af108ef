//! What the engine writes its firewall rules with: `iptables`, or from engine 29 on `nft`, the backend that we call native.
//!
//! Native is chosen where everything that it needs is there, because the engine starts faster with it, and nobody's rules are met
//! twice.

use crate::facts::Facts;
use crate::facts::native::ENGINE_WITH_BACKEND;
use crate::fault;
use crate::firewall::content::{ForwardChain, Tables};
use crate::options::Options;
use crate::plan::connection::Connection;
use crate::plan::iptables::{self, Iptables};
use crate::report::{Firewall as Report, FirewallReason as Reason};
use crate::values::FirewallBackend::{self, Nftables};
use crate::values::Mark;
use dind_contract::{Engine, Fault, Warning};

/// What was decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Firewall {
    /// The backend, and why; nothing where the engine has no choice, or its version is not known.
    pub chosen: Option<Report>,
    /// The iptables that the engine runs; nothing of it with the native backend.
    pub iptables: Iptables,
    /// What is to be said of it.
    pub warnings: Vec<Warning>,
}

impl Firewall {
    /// Whether the engine writes its rules to nf_tables itself.
    #[must_use]
    pub fn is_native(&self) -> bool {
        self.chosen.as_ref().is_some_and(|chosen| chosen.backend == Nftables)
    }

    /// Whether the engine writes its rules at all.
    #[must_use]
    pub fn writes(&self) -> bool {
        self.is_native() || self.iptables.chosen.is_some()
    }

    /// Whether its rules are in nf_tables.
    #[must_use]
    pub fn is_in_nf_tables(&self) -> bool {
        self.is_native() || self.iptables.is_nft()
    }

    /// Adds the engine's settings.
    pub fn configure(&self, connection: &Connection, options: &Options, engine: &mut Engine) {
        let Some(chosen) = &self.chosen else { return };
        let known = options.engine.is_some_and(|major| major >= ENGINE_WITH_BACKEND);
        if known || chosen.backend == Nftables {
            engine.set("firewall-backend", serde_json::json!(chosen.backend));
        }
        if self.is_native() && connection.bridged.is_some() {
            engine.set("bridge-accept-fwmark", options.accept_mark.unwrap_or(Mark::OURS).to_string());
        }
    }
}

/// Chooses.
///
/// # Errors
/// [`fault::FIREWALL_UNAVAILABLE`]: nftables was asked for, and the engine would not start with it. Those of
/// [`iptables::decide`].
pub fn decide(facts: &Facts, options: &Options, connection: &Connection) -> Result<Firewall, Fault> {
    let mut warnings = Vec::new();
    let chosen = choose(facts, options, connection, &mut warnings)?;
    if chosen.as_ref().is_some_and(|chosen| chosen.backend == Nftables) {
        if options.iptables.is_some() {
            warnings.push(Warning::new(
                fault::OPTION_IGNORED,
                "DIND_NET_IPTABLES has no effect: the engine writes its rules with nft",
                "set DIND_NET_FIREWALL=iptables, or leave DIND_NET_IPTABLES unset",
            ));
        }
        return Ok(Firewall { chosen, warnings, iptables: Iptables::default() });
    }
    if options.accept_mark.is_some() && connection.bridged.is_some() {
        warnings.push(Warning::new(
            fault::OPTION_IGNORED,
            "DIND_NET_ACCEPT_FWMARK marks nothing: the engine writes its rules with iptables",
            "set DIND_NET_FIREWALL=nftables, or leave it unset",
        ));
    }
    let mut iptables = iptables::decide(facts, options)?;
    warnings.extend(iptables.warning.take());
    Ok(Firewall { chosen, iptables, warnings })
}

fn choose(
    facts: &Facts,
    options: &Options,
    connection: &Connection,
    warnings: &mut Vec<Warning>,
) -> Result<Option<Report>, Fault> {
    let forced = |backend| Some(Report { backend, reason: Reason::Forced, detail: None });
    match options.firewall {
        Some(Nftables) => {
            let obstacle = obstacles(facts, options, true).next();
            if let Some((_, why, hint)) = obstacle {
                return Err(fault::FIREWALL_UNAVAILABLE.cannot("use", "nftables", why).hint(hint));
            }
            warnings.extend(mixed(facts));
            Ok(forced(Nftables))
        }
        Some(backend) => Ok(forced(backend)),
        // One without rules has none to choose for.
        None if connection.engine.config.get("iptables") == Some(&false.into()) => Ok(None),
        None if options.engine.is_none_or(|major| major < ENGINE_WITH_BACKEND) => Ok(None),
        None => {
            let obstacle = obstacles(facts, options, false).next();
            Ok(Some(obstacle.map_or(
                Report { backend: Nftables, reason: Reason::Works, detail: None },
                |(reason, words, _)| Report {
                    backend: FirewallBackend::Iptables,
                    reason,
                    detail: Some(words),
                },
            )))
        }
    }
}

/// Why nftables is not for this node, each with a hint. Where it was asked for, only those count with which the engine would not
/// start.
fn obstacles(
    facts: &Facts,
    options: &Options,
    asked: bool,
) -> impl Iterator<Item = (Reason, String, &'static str)> {
    let native = &facts.native;
    let leave = "leave DIND_NET_FIREWALL unset";
    let old = options.engine.filter(|major| *major < ENGINE_WITH_BACKEND);
    let old = old.map(|major| {
        let words = format!("engine {major} has no such backend, which came with {ENGINE_WITH_BACKEND}");
        (Reason::EngineVersion, words, leave)
    });
    let kernel = match (&facts.rules_refused, &native.refused, facts.iptables.nft_tables) {
        (_, _, Tables::Unavailable) => Some("the kernel has no nf_tables".to_owned()),
        (Some(why), ..) => Some(format!("the kernel refuses the rules: {why}")),
        (None, Some(why), _) => Some(format!("the kernel's nf_tables has not all that is needed: {why}")),
        (None, None, _) => None,
    };
    let kernel = kernel.map(|words| (Reason::Kernel, words, leave));
    let left = options.forward == Some(false);
    let off = native.forward_stuck || facts.forward_off && (facts.host_network || left);
    // Who asks for both, and leaves forwarding off, has configured the engine not to check it.
    let off = (off && !(asked && left)).then(|| {
        let words = "net.ipv4.ip_forward is 0, and is not for dind-net to change".to_owned();
        (Reason::Forwarding, words, "set net.ipv4.ip_forward=1, such as with docker run --sysctl")
    });
    let when = |holds: bool, reason, words: &str, hint| holds.then(|| (reason, words.to_owned(), hint));
    let auto = [
        when(options.iptables.is_some(), Reason::IptablesNamed, "DIND_NET_IPTABLES names an iptables", leave),
        when(facts.host_network, Reason::HostNetwork, "the network is the machine's own", leave),
        when(has_rules(facts), Reason::HasRules, "rules of iptables decide here what is forwarded", leave),
    ];
    let auto = auto.into_iter().flatten().filter(move |_| !asked);
    let missing = "the program nft is not installed";
    let nft = when(!native.program, Reason::NftMissing, missing, "install the package nftables");
    let words = "the engine is a node of a swarm, and would not start";
    let swarm =
        when(native.swarm, Reason::Swarm, words, "`docker swarm leave`, or leave DIND_NET_FIREWALL unset");
    [old, nft, kernel, swarm, off].into_iter().flatten().chain(auto)
}

/// The engine removes rules of its own from there, but not a policy of drop (moby, iptabler/cleaner.go).
fn has_rules(facts: &Facts) -> bool {
    facts.forward_chain == ForwardChain::InUse || facts.native.legacy_filter
}

fn mixed(facts: &Facts) -> Option<Warning> {
    has_rules(facts).then(|| {
        Warning::new(
            fault::FIREWALL_MIXED,
            "rules of iptables decide what is forwarded, too: what they drop, inner containers do not get",
            "iptables --policy FORWARD ACCEPT, or leave DIND_NET_FIREWALL unset",
        )
    })
}

#[cfg(test)]
#[path = "firewall_tests.rs"]
mod tests;
