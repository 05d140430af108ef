//! Decide: a pure function of facts and options.

use crate::bridged::{self, Bridged};
use crate::facts::Facts;
use crate::fault;
use crate::forward;
use crate::iptables::Chosen;
use crate::options::{Backend, DOCKER_BRIDGE, Options};
use crate::pool;
use crate::range::{Question, Range};
use crate::report::{Bridge, Mode, Network};
use crate::rules;
use crate::ruleset::Rules;
use dind_contract::{Draft, Engine, Fault, State, Steps, Warning};
use ipnet::Ipv4Net;
use serde_json::json;
use std::net::Ipv4Addr;
use std::path::PathBuf;

/// What is to be done, and what is told about it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// `result` of the document.
    pub network: Network,
    /// `engine` of the document.
    pub engine: Engine,
    /// `warnings` of the document.
    pub warnings: Vec<Warning>,
    /// Bridged mode.
    pub bridged: Option<Bridged>,
    /// A folder of links to an iptables that is not the plain one.
    pub links: Option<Links>,
    /// Our own firewall rules.
    pub rules: Rules,
    /// Whether forwarding is switched on.
    pub forward: bool,
}

/// A folder of links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Links {
    /// The folder.
    pub folder: PathBuf,
    /// What the links lead to.
    pub program: PathBuf,
}

/// Name of the folder of links for a backend, below the state folder.
#[must_use]
pub fn links_name(backend: Backend) -> &'static str {
    match backend {
        Backend::Nft => "iptables-nft",
        Backend::Legacy => "iptables-legacy",
    }
}

impl Plan {
    /// Decides for a machine.
    ///
    /// # Errors
    /// Every refusal of the README's table that is about the configuration.
    pub fn decide(facts: &Facts, options: &Options) -> Result<Self, Fault> {
        let mut plan = Self::default();
        match options.offset {
            Some(offset) => {
                let bridged = bridged::decide(facts, options, offset, &mut plan.warnings)?;
                plan.describe_bridged(options, bridged.address, bridged.gateway, bridged.range);
                plan.set_mtu(bridged.bridging.mtu, options);
                plan.network.uplink = Some(bridged.bridging.uplink.clone());
                if let Some(bridge) = &mut plan.network.bridge {
                    bridge.mac = Some(bridged.bridging.mac.clone());
                }
                plan.bridged = Some(bridged);
            }
            None => plan.decide_default(facts, options)?,
        }
        plan.choose_dns(facts, options);
        plan.choose_clamp(facts, options);
        plan.choose_iptables(facts, options)?;
        plan.choose_lane(facts);
        // In the machine's own network it is not for us to say what is forwarded; ip_tables we cannot write to.
        let nft = plan.network.iptables.as_ref().is_some_and(|chosen| chosen.backend == Backend::Nft);
        plan.forward = options.forward && facts.forward_off && nft && !facts.host_network;
        Ok(plan)
    }

    /// Decides out of flags alone.
    ///
    /// # Errors
    /// Those of [`crate::range::compute`].
    pub fn compute(question: &Question, options: &Options) -> Result<Self, Fault> {
        let mut plan = Self::default();
        let range = crate::range::compute(question)?;
        plan.describe_bridged(options, question.address, question.gateway, range);
        if let Some(mtu) = options.mtu {
            plan.set_mtu(mtu, options);
        }
        plan.set_dns(options);
        Ok(plan)
    }

    fn describe_bridged(&mut self, options: &Options, address: Ipv4Net, gateway: Ipv4Addr, range: Range) {
        if options.bridge == DOCKER_BRIDGE {
            self.engine.set("bip", address.to_string());
        } else {
            // dockerd refuses -b together with --bip, and takes the address that it finds on the bridge.
            self.engine.set("bridge", options.bridge.clone());
        }
        self.engine.set("fixed-cidr", range.net.to_string());
        self.engine.set("default-gateway", gateway.to_string());
        self.network = Network {
            mode: Mode::Bridged,
            bridge: Some(Bridge {
                name: options.bridge.clone(),
                address: address.to_string(),
                ..Bridge::default()
            }),
            gateway: Some(gateway),
            subnet: Some(address.trunc().to_string()),
            range: Some(range.net.to_string()),
            offset: Some(range.offset.into()),
            ..Network::default()
        };
    }

    fn decide_default(&mut self, facts: &Facts, options: &Options) -> Result<(), Fault> {
        if let Some(journal) = &facts.journal {
            return Err(fault::ALREADY_BRIDGED
                .cannot(
                    "use",
                    "default mode",
                    format!("{} is in {}", journal.bridging.uplink, journal.bridging.bridge),
                )
                .hint("run `dind-net release` first, or set DOCKER_NETWORK_OFFSET again"));
        }
        if facts.host_network {
            self.warnings.push(Warning::new(
                fault::SHARED_HOST_NETWORK,
                "this is the machine's own network namespace: docker0 and all firewall rules are shared with it",
                "run the container without --network host",
            ));
        }
        let networks = pool::networks(facts, options)?;
        let mut routes: Vec<_> = facts.net.routes.iter().filter(|route| route.is_default()).collect();
        routes.sort_by_key(|route| route.metric);
        let name = options.uplink.clone().or_else(|| routes.first().map(|route| route.link.clone()));
        let uplink = name.as_ref().and_then(|name| facts.net.link(name));
        self.engine.set("bip", networks.bridge.to_string());
        let pools: Vec<_> = networks
            .pools
            .iter()
            .map(|(base, size)| json!({"base": base.to_string(), "size": size}))
            .collect();
        self.engine.set("default-address-pools", pools);
        self.network = Network {
            mode: Mode::Default,
            bridge: Some(Bridge {
                name: options.bridge.clone(),
                address: networks.bridge.to_string(),
                ..Bridge::default()
            }),
            subnet: Some(networks.bridge.trunc().to_string()),
            pools: networks.pools.iter().map(|(base, _)| base.to_string()).collect(),
            ..Network::default()
        };
        match (uplink, options.mtu) {
            (Some(uplink), _) => {
                self.network.uplink = Some(uplink.name.clone());
                self.set_mtu(bridged::mtu(uplink, options)?, options);
            }
            (None, Some(mtu)) => self.set_mtu(mtu, options),
            (None, None) if options.uplink.is_some() => {
                let name = name.unwrap_or_default();
                return Err(fault::UPLINK_MISSING
                    .cannot("find", name, "there is no such link")
                    .hint("set DIND_NET_UPLINK to the link of the outer network, or leave it unset"));
            }
            // `--network none`: there is no outer network to fit to.
            (None, None) => {}
        }
        Ok(())
    }

    fn choose_iptables(&mut self, facts: &Facts, options: &Options) -> Result<(), Fault> {
        let Some(chosen) = facts.iptables.choose(options.iptables)? else {
            self.warnings.push(Warning::new(
                fault::IPTABLES_NOT_FOUND,
                "no iptables is installed; dockerd does not start without it",
                "install iptables, or give dockerd --iptables=false",
            ));
            return Ok(());
        };
        if let Chosen { backend, program: Some(program), .. } = &chosen {
            let folder = options.state.join(links_name(*backend));
            self.engine.path_prepend.push(folder.clone());
            self.links = Some(Links { folder, program: program.clone() });
        }
        self.network.iptables = Some(chosen);
        Ok(())
    }

    /// The document of `plan`: what an apply would do.
    #[must_use]
    pub fn draft(self, facts: &Facts) -> Draft<Network> {
        let mut steps = Steps::default();
        if let Some(links) = &self.links {
            steps.push(crate::links::OP, links.folder.display(), State::Planned);
        }
        if !self.rules.is_empty() {
            steps.push(rules::OP, rules::target(&self.rules), State::Planned);
        } else if let Some(record) = &facts.rules {
            steps.push(rules::UNDO, rules::target(&record.rules), State::Planned);
        }
        if self.forward {
            steps.push(forward::OP, forward::TARGET, State::Planned);
        }
        if let Some(bridged) = &self.bridged {
            let changes = bridged.bridging.forth(&facts.net, &bridged.before);
            match changes.is_empty() {
                true => steps.push("bridge-uplink", &bridged.bridging.uplink, State::Skipped),
                false => crate::change::list(&changes, &mut steps),
            }
        }
        Draft { result: self.network, engine: self.engine, steps, warnings: self.warnings }
    }
}
