//! Decide: what inner networks need of the node beside addresses, which is name servers and packets that fit.

use crate::facts::Facts;
use crate::fault;
use crate::lane::Lane;
use crate::names::EMBEDDED;
use crate::nft::Tables;
use crate::options::{Backend, Options};
use crate::plan::Plan;
use crate::ruleset::Names;
use dind_contract::Warning;
use ipnet::Ipv4Net;
use serde_json::json;
use std::net::IpAddr;

/// The first engine that knows `default-network-opts` (moby 24.0, "dockerd: add --default-network-opt").
const ENGINE_WITH_NETWORK_OPTS: u32 = 24;
/// What engines take when they are told nothing.
const ETHERNET_MTU: u32 = 1500;

impl Plan {
    /// The default bridge's MTU, and that of user-defined networks where the engine can be told.
    pub(crate) fn set_mtu(&mut self, mtu: u32, options: &Options) {
        self.engine.set("mtu", mtu);
        if mtu != ETHERNET_MTU && options.engine.is_some_and(|major| major >= ENGINE_WITH_NETWORK_OPTS) {
            let opts = json!({"bridge": {"com.docker.network.driver.mtu": mtu.to_string()}});
            self.engine.set("default-network-opts", opts);
        }
        if let Some(bridge) = &mut self.network.bridge {
            bridge.mtu = Some(mtu);
        }
    }

    /// User-defined networks keep an MTU of 1500 where the engine cannot be told, and where a user asks for it. Then
    /// TCP is made to use segments that fit: a sender that never hears of the smaller MTU would hang otherwise.
    pub(crate) fn choose_clamp(&mut self, facts: &Facts, options: &Options) {
        let mtu = self.network.bridge.as_ref().and_then(|bridge| bridge.mtu);
        let Some(mtu) = mtu.filter(|mtu| *mtu < ETHERNET_MTU) else { return };
        if facts.host_network {
            return;
        }
        self.rules.clamp = has_nf_tables(facts);
        if !self.rules.clamp {
            self.warn_of_mtu(mtu, options, "the kernel has no nf_tables");
        }
    }

    fn warn_of_mtu(&mut self, mtu: u32, options: &Options, why: &str) {
        if options.engine.is_some_and(|major| major >= ENGINE_WITH_NETWORK_OPTS) {
            return;
        }
        self.warnings.push(Warning::new(
            fault::MTU_USER_NETWORKS,
            format!("user-defined networks get an MTU of 1500, the uplink carries {mtu}, and {why}"),
            format!("create them with --opt com.docker.network.driver.mtu={mtu}"),
        ));
    }

    /// The name servers that were asked for.
    pub(crate) fn set_dns(&mut self, options: &Options) {
        if !options.dns.is_empty() {
            let servers: Vec<_> = options.dns.iter().map(ToString::to_string).collect();
            self.engine.set("dns", servers);
        }
    }

    /// dockerd leaves loopback servers out of what containers get, and where nothing remains it writes 8.8.8.8. So the
    /// embedded server is made reachable, at the address of the bridge.
    pub(crate) fn choose_dns(&mut self, facts: &Facts, options: &Options) {
        self.set_dns(options);
        self.network.resolvers.clone_from(&facts.resolvers);
        if !options.dns.is_empty() {
            return;
        }
        let uses_embedded = facts.resolvers.contains(&IpAddr::V4(EMBEDDED));
        if let Some(names) = self.names(facts) {
            self.engine.set("dns", vec![names.server.to_string()]);
            self.engine.set("dns-opts", options_without_ndots(&facts.resolver_options));
            self.rules.names = Some(names);
        } else if uses_embedded || facts.resolvers.iter().all(IpAddr::is_loopback) {
            let why = match facts.embedded {
                Some(_) if facts.host_network => "the firewall is the machine's own",
                Some(_) => "the kernel has no nf_tables to forward it",
                None if uses_embedded => "nothing listens there",
                None => "",
            };
            self.warn_of_dns(facts, why);
        }
    }

    fn names(&self, facts: &Facts) -> Option<Names> {
        if facts.host_network || !has_nf_tables(facts) {
            return None;
        }
        let bridge = self.network.bridge.as_ref()?.address.parse::<Ipv4Net>().ok()?;
        let bridged =
            self.bridged.as_ref().map(|bridged| (bridged.bridging.bridge.clone(), bridged.range.net));
        Some(Names {
            server: bridge.addr(),
            embedded: facts.embedded?,
            uplink: self.network.uplink.clone(),
            bridged,
        })
    }

    fn warn_of_dns(&mut self, facts: &Facts, why: &str) {
        let servers: Vec<_> = facts.resolvers.iter().map(ToString::to_string).collect();
        let found = if servers.is_empty() {
            "there is no name server".to_owned()
        } else {
            format!("the name server is {}", servers.join(", "))
        };
        let why = if why.is_empty() { String::new() } else { format!(", and {why}") };
        self.warnings.push(Warning::new(
            fault::DNS_LOOPBACK,
            format!("{found}, which inner containers cannot reach{why}: they would get 8.8.8.8"),
            "set DIND_NET_DNS to name servers that inner containers can reach",
        ));
    }

    /// In bridged mode, a way out for user-defined networks. It has to be in the backend that dockerd writes to.
    pub(crate) fn choose_lane(&mut self, facts: &Facts) {
        let (Some(bridged), Some(iptables)) = (&self.bridged, &self.network.iptables) else { return };
        if iptables.backend == Backend::Nft && has_nf_tables(facts) {
            self.rules.lane =
                Some(Lane { bridge: bridged.bridging.bridge.clone(), range: bridged.range.net });
        } else {
            self.warn_of_lane("the engine's firewall rules are in ip_tables");
        }
    }

    fn warn_of_lane(&mut self, why: &str) {
        self.warnings.push(Warning::new(
            fault::USER_NETWORKS_CUT_OFF,
            format!("containers on user-defined networks reach the node, and nothing beyond it: {why}"),
            "use the default bridge or host network, or set DIND_NET_IPTABLES=nft where the kernel has nf_tables",
        ));
    }

    /// The rules turned out to be impossible: what relied on them is taken back, and said.
    pub(crate) fn give_up_rules(&mut self, facts: &Facts, options: &Options, why: &str) {
        let rules = std::mem::take(&mut self.rules);
        if rules.names.is_some() {
            self.engine.config.remove("dns");
            self.engine.config.remove("dns-opts");
            self.warn_of_dns(facts, &format!("it cannot be forwarded: {why}"));
        }
        if rules.lane.is_some() {
            self.warn_of_lane(why);
        }
        if let (true, Some(mtu)) = (rules.clamp, self.network.bridge.as_ref().and_then(|bridge| bridge.mtu)) {
            self.warn_of_mtu(mtu, options, &format!("TCP cannot be clamped: {why}"));
        }
    }
}

/// dockerd copies the node's options, and the embedded server of a user-defined network does not pass on names without
/// a dot once there is an `ndots` (moby, libnetwork/resolver.go): but such are the names of outer containers. An empty
/// list would not replace the node's, so what stays is at least the default (`RES_TIMEOUT`).
fn options_without_ndots(options: &[String]) -> Vec<String> {
    let kept: Vec<_> = options.iter().filter(|option| !option.starts_with("ndots")).cloned().collect();
    if kept.is_empty() { vec!["timeout:5".to_owned()] } else { kept }
}

/// Where nobody may tell, somebody without privilege asks for a plan; apply has to know.
fn has_nf_tables(facts: &Facts) -> bool {
    facts.iptables.nft_tables != Tables::Unavailable
}
