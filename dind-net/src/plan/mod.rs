//! What is to be done: a pure function of facts and options.
//!
//! [`decide`] puts a [`Plan`] together. [`default_mode`] (with [`pool`], [`user_pools`] and [`reached`]) and [`bridged`] (with [`range`]) decide how inner
//! containers are connected, which is a [`connection`], or [`no_bridge`] that they are not; [`dns`], [`mtu`], [`firewall`] (with
//! [`iptables`]), [`forwarding`] and [`rules`] decide the rest.
//! [`transition`] finds the changes from one state of the network to another. All of it becomes a list of [`step`]s;
//! [`release`] makes the list that takes everything away. [`without_machine`] and [`without_machine6`] are bridged mode without a
//! machine. IPv6 is decided in [`ipv6`], with [`pool6`] and again [`range`], which knows what differs from [`family`].

pub mod bridged;
pub mod connection;
pub mod default_mode;
pub mod dns;
pub mod family;
pub mod firewall;
pub mod forwarding;
pub mod iptables;
pub mod ipv6;
pub mod mtu;
pub mod no_bridge;
pub mod pool;
pub mod pool6;
pub mod range;
pub mod reached;
pub mod release;
pub mod rules;
pub mod step;
pub mod transition;
pub mod user_pools;
pub mod without_machine;
pub mod without_machine6;

use crate::facts::Facts;
use crate::facts::original::{self, Original};
use crate::fault;
use crate::firewall::rules::Rules;
use crate::options::{DOCKER_BRIDGE, Options};
use crate::report::{Mode, Network};
use bridged::Bridged;
use connection::Connection;
use dind_contract::step::planned;
use dind_contract::{Draft, Engine, Fault, Warning};
use ipnet::{Ipv4Net, Ipv6Net};
use iptables::Iptables;
use ipv6::place::Place;
use range::Question;
use reached::Taken;
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
    /// Bridged mode with IPv6.
    pub place6: Option<Place>,
}

impl Plan {
    /// Whether its rules have a table of bridges.
    #[must_use]
    pub fn has_hairpin(&self) -> bool {
        let has = |step: &Step| matches!(step, Step::MakeRules { rules, .. } if rules.hairpin.is_some());
        self.steps.iter().any(has)
    }

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
    check_alone(facts, options)?;
    let mut warnings: Vec<_> = options.ignored.iter().map(|variable| option_ignored(variable)).collect();
    warnings.extend(pool::collisions(facts, options));
    if options.pool.is_some()
        && !options.address_pools.is_empty()
        && (options.offset.is_some() || options.no_bridge)
    {
        let message = "DIND_NET_POOL has no effect: the pools are those of `default-address-pools`";
        warnings.push(Warning::new(fault::OPTION_IGNORED, message, "set one of the two"));
    }
    let bridged = options.offset.map(|offset| bridged::decide(facts, options, offset, &mut warnings));
    let bridged = bridged.transpose()?;
    let connection = match &bridged {
        // By itself dockerd takes no subnet to which there is a route.
        Some(bridged) if deletes_bridge(facts, options) => bridged.connection(&[]),
        Some(bridged) => bridged.connection(&pool::pools(facts, options, &mut warnings)?),
        None if options.no_bridge => no_bridge::decide(facts, options, &mut warnings)?,
        None => default_mode::decide(facts, options, &mut warnings)?,
    };
    let (clamp, clamp_warning) = mtu::decide_clamp(facts, options, connection.mtu);
    let firewall = firewall::decide(facts, options, &connection)?;
    let ipv6 = ipv6::decide(facts, options, bridged.as_ref(), &firewall)?;
    let dns = dns::decide(facts, options, &connection, ipv6.is_enabled());
    let (isolation, isolation_warning) = rules::decide_isolation(facts, options, &connection, &firewall);
    let (hairpin, hairpin_warning) =
        rules::decide_hairpin(facts, bridged.as_ref().map(|bridged| &bridged.bridging));
    let forwarding = forwarding::decide(facts, options, &firewall);
    let dns_rules = dns.redirect.clone();
    let (closed, closed6) = forwarding.closes;
    // What is bridged has been moved to the bridge, with its routes.
    let routers = || (closed6 && bridged.is_none()).then(|| ipv6::routers(facts)).flatten();
    let accept_ra = ipv6.accept_ra.clone().or_else(routers);
    let rules = Rules { dns: dns_rules, clamp, isolation, forwarding: closed, forwarding6: closed6, hairpin };
    let steps = [
        iptables_steps(facts, &firewall.iptables),
        rules_step(facts, rules).into_iter().collect(),
        forwarding.before,
        accept_ra.map(|record| Step::AcceptRa { record }).into_iter().collect(),
        bridged.as_ref().map(|bridged| bridging_steps(facts, options, bridged)).unwrap_or_default(),
        forwarding.after,
    ];

    let mut settings = Engine::default();
    firewall.configure(&connection, options, &mut settings);
    let Connection { mut network, mut engine, mtu, .. } = connection;
    engine.config.extend(settings.config);
    dns.configure(&mut engine);
    if let Some(mtu) = mtu {
        mtu::configure(mtu, options, &mut engine);
    }
    ipv6.configure(options, &mut engine);
    let iptables = firewall.iptables;
    engine.path_prepend.extend(iptables.links.map(|links| links.directory));
    network.resolvers.clone_from(&facts.resolv_conf.servers);
    network.iptables = iptables.chosen;
    network.firewall = firewall.chosen;
    network.ipv6 = ipv6.report;
    warnings.extend(dns.warnings);
    warnings.extend(clamp_warning);
    warnings.extend(firewall.warnings);
    warnings.extend([isolation_warning, hairpin_warning, ipv6.warning].into_iter().flatten());
    Ok(Plan { network, engine, warnings, steps: steps.concat(), bridged, place6: ipv6.place })
}

fn option_ignored(variable: &str) -> Warning {
    let message = format!("{variable} has no effect without DOCKER_NETWORK_OFFSET");
    Warning::new(
        fault::OPTION_IGNORED,
        message,
        "set DOCKER_NETWORK_OFFSET for bridged mode, or leave it unset",
    )
}

/// Two engines in one network namespace take the same addresses, and each other's rules. One without a bridge does not, but its
/// dockerd removes the other's `docker0` (moby, `removeDefaultBridgeInterface`).
fn check_alone(facts: &Facts, options: &Options) -> Result<(), Fault> {
    let harms = !options.no_bridge || facts.net.link(DOCKER_BRIDGE).is_some();
    let Some(socket) = facts.other_engine.as_ref().filter(|_| harms) else { return Ok(()) };
    let which =
        if options.no_bridge { ", with docker0, which a dockerd without a bridge removes" } else { "" };
    Err(fault::NETWORK_IN_USE
        .failed(
            "cannot set up a network for an engine",
            format!("another engine, which listens at {socket}, lives in this network namespace{which}"),
        )
        .hint("give the container a network of its own"))
}

/// Whether dockerd, with pools for user-defined networks, would delete the bridge, and the uplink is in it: it deletes the link docker0,
/// whoever has made it, where it finds its default network in the data root's record (moby, daemon_unix.go,
/// `removeDefaultBridgeInterface`).
fn deletes_bridge(facts: &Facts, options: &Options) -> bool {
    options.bridge == DOCKER_BRIDGE && facts.default_recorded && !options.record_renewed
}

/// Decides out of flags alone.
///
/// # Errors
/// Those of [`range::compute`].
pub fn compute(question: &Question<Ipv4Net>, options: &Options) -> Result<Plan, Fault> {
    let range = range::compute(question)?;
    let mut connection = Connection::bridged(&options.bridge, question.address, question.gateway, range);
    let subnet = question.address.trunc();
    let reached = [Taken::near(subnet, "the subnet of the container")];
    if let Some(pools) =
        user_pools::check(&options.address_pools, options.engine, true, &reached, &mut Vec::new())?
    {
        connection.set_pools(&pools);
    } else if let Some(pool) = options.pool {
        connection.set_pools(&[pool::asked_beside(pool, subnet)?]);
    }
    dns::chosen(options).configure(&mut connection.engine);
    if let Some(mtu) = options.mtu {
        connection.set_mtu(mtu);
        mtu::configure(mtu, options, &mut connection.engine);
    }
    Ok(Plan { network: connection.network, engine: connection.engine, ..Plan::default() })
}

/// The same for IPv6.
///
/// # Errors
/// Those of [`range::compute`].
pub fn compute6(question: &Question<Ipv6Net>, options: &Options) -> Result<Plan, Fault> {
    let (report, engine) = ipv6::calculate(question, options)?;
    let network = Network { mode: Mode::Bridged, ipv6: Some(report), ..Network::default() };
    Ok(Plan { network, engine, ..Plan::default() })
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

fn bridging_steps(facts: &Facts, options: &Options, bridged: &Bridged) -> Vec<Step> {
    let bridging = &bridged.bridging;
    let changes = to_bridged(bridging, &facts.net, &bridged.before);
    // Where a run before this one has begun, what it saved is the original state, and not what is there now.
    let journal = (facts.original.is_none() || facts.unsaved).then(|| {
        let uplink_index = facts.net.link(&bridging.uplink).map_or(0, |link| link.index);
        let (bridging, before) = (bridging.clone(), bridged.before.clone());
        let original = Box::new(Original { bridging, uplink_index, before });
        Step::WriteJournal { file: options.state.join(original::FILE), original }
    });
    let bridged = changes.is_empty().then(|| Step::BridgeUplink { uplink: bridging.uplink.clone() });
    journal.into_iter().chain(bridged).chain(changes.into_iter().map(Step::Change)).collect()
}
