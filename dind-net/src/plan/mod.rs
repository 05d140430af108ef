//! What is to be done: a pure function of facts and options.
//!
//! [`decide`] puts a [`Plan`] together. [`default_mode`] (with [`pool`]) and [`bridged`] (with [`range`]) decide how inner
//! containers are connected, which is a [`connection`]; [`dns`], [`mtu`], [`iptables`] and [`rules`] decide the rest.
//! [`transition`] finds the changes from one state of the network to another. All of it becomes a list of [`step`]s;
//! [`release`] makes the list that takes everything away. [`without_machine`] is bridged mode without a machine.

pub mod bridged;
pub mod connection;
pub mod default_mode;
pub mod dns;
pub mod iptables;
pub mod mtu;
pub mod pool;
pub mod range;
pub mod release;
pub mod rules;
pub mod step;
pub mod transition;
pub mod without_machine;

use crate::facts::Facts;
use crate::facts::original::{self, Original};
use crate::firewall::content::ForwardChain;
use crate::firewall::rules::Rules;
use crate::options::Options;
use crate::report::Network;
use bridged::Bridged;
use connection::Connection;
use dind_contract::step::planned;
use dind_contract::{Draft, Engine, Fault, Warning};
use iptables::Iptables;
use range::Question;
use step::Step;
use transition::to_bridged;

/// What is to be done, and what is reported.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// `result` of the document.
    pub network: Network,
    /// `engine` of the document.
    pub engine: Engine,
    /// `warnings` of the document.
    pub warnings: Vec<Warning>,
    /// What is to be done, in order.
    pub steps: Vec<Step>,
    /// Bridged mode.
    pub bridged: Option<Bridged>,
}

impl Plan {
    /// The document of `plan`.
    #[must_use]
    pub fn draft(self) -> Draft<Network> {
        let steps = planned(&self.steps);
        Draft { result: self.network, engine: self.engine, steps, warnings: self.warnings }
    }
}

/// Decides for a machine.
///
/// # Errors
/// Every refusal of the README's table that is about the configuration.
pub fn decide(facts: &Facts, options: &Options) -> Result<Plan, Fault> {
    let mut warnings = Vec::new();
    let bridged = options.offset.map(|offset| bridged::decide(facts, options, offset, &mut warnings));
    let bridged = bridged.transpose()?;
    let connection = match &bridged {
        Some(bridged) => bridged.connection(),
        None => default_mode::decide(facts, options, &mut warnings)?,
    };
    let dns = dns::decide(facts, options, &connection);
    let (clamp, clamp_warning) = mtu::decide_clamp(facts, options, connection.mtu());
    let iptables = iptables::decide(facts, options)?;
    let (isolation, isolation_warning) = rules::decide_isolation(facts, &connection, &iptables);
    let steps = [
        iptables_steps(facts, &iptables),
        rules_step(facts, Rules { dns: dns.redirect.clone(), clamp, isolation }).into_iter().collect(),
        forwarding_step(facts, options, &iptables).into_iter().collect(),
        bridged.as_ref().map(|bridged| bridging_steps(facts, options, bridged)).unwrap_or_default(),
    ];

    let Connection { mut network, mut engine, .. } = connection;
    dns.configure(&mut engine);
    if let Some(mtu) = network.bridge.as_ref().and_then(|bridge| bridge.mtu) {
        mtu::configure(mtu, options, &mut engine);
    }
    engine.path_prepend.extend(iptables.links.map(|links| links.directory));
    network.resolvers.clone_from(&facts.resolv_conf.servers);
    network.iptables = iptables.chosen;
    warnings.extend([dns.warning, clamp_warning, iptables.warning, isolation_warning].into_iter().flatten());
    Ok(Plan { network, engine, warnings, steps: steps.concat(), bridged })
}

/// Decides out of flags alone.
///
/// # Errors
/// Those of [`range::compute`].
pub fn compute(question: &Question, options: &Options) -> Result<Plan, Fault> {
    let range = range::compute(question)?;
    let mut connection = Connection::bridged(&options.bridge, question.address, question.gateway, range);
    dns::chosen(options).configure(&mut connection.engine);
    if let Some(mtu) = options.mtu {
        connection.set_mtu(mtu);
        mtu::configure(mtu, options, &mut connection.engine);
    }
    Ok(Plan { network: connection.network, engine: connection.engine, ..Plan::default() })
}

fn iptables_steps(facts: &Facts, iptables: &Iptables) -> Vec<Step> {
    let modules = iptables.load_modules.then_some(Step::LoadModules);
    let links = iptables.links.clone().map(|links| {
        let holds = facts.iptables.links.contains(&links);
        Step::LinkIptables { links, holds }
    });
    modules.into_iter().chain(links).collect()
}

fn rules_step(facts: &Facts, rules: Rules) -> Option<Step> {
    let found = facts.rules.clone();
    if rules.is_empty() {
        return found.map(|found| Step::RemoveRules { found });
    }
    let same = found.as_ref().is_some_and(|found| found.rules == rules);
    let holds = same && (rules.dns.is_none() || facts.route_localnet);
    Some(Step::MakeRules { rules, found, holds })
}

/// In the machine's own network it is not for us to say what is forwarded; ip_tables we cannot write to; and where the chain
/// exists, its policy is somebody's will.
fn forwarding_step(facts: &Facts, options: &Options, iptables: &Iptables) -> Option<Step> {
    let ours = facts.forward_off && facts.forward_chain == ForwardChain::Missing && !facts.host_network;
    (options.forward && ours && iptables.is_nft()).then_some(Step::EnableForwarding)
}

fn bridging_steps(facts: &Facts, options: &Options, bridged: &Bridged) -> Vec<Step> {
    let bridging = &bridged.bridging;
    let changes = to_bridged(bridging, &facts.net, &bridged.before);
    if changes.is_empty() {
        return vec![Step::BridgeUplink { uplink: bridging.uplink.clone() }];
    }
    // Where a run before this one has begun, what it saved is the original state, and not what is there now.
    let journal = facts.original.is_none().then(|| {
        let uplink_index = facts.net.link(&bridging.uplink).map_or(0, |link| link.index);
        let (bridging, before) = (bridging.clone(), bridged.before.clone());
        let original = Box::new(Original { bridging, uplink_index, before });
        Step::WriteJournal { file: options.state.join(original::FILE), original }
    });
    journal.into_iter().chain(changes.into_iter().map(Step::Change)).collect()
}
