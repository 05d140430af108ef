//! The name servers of inner containers.
//!
//! dockerd leaves loopback servers out of what containers get, and where nothing remains it writes 8.8.8.8. So a server
//! on loopback is made reachable, at the address of the bridge.

use crate::facts::Facts;
use crate::facts::embedded_dns::{self, Embedded};
use crate::fault;
use crate::firewall::dns::Dns as Redirect;
use crate::options::Options;
use crate::plan::connection::Connection;
use crate::plan::rules::why_no_rules;
use dind_contract::{Engine, Warning};
use std::net::{IpAddr, Ipv4Addr};

const HINT: &str = "set DIND_NET_DNS to name servers that inner containers can reach";

/// What was decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dns {
    /// `dns` of the engine; empty where dockerd finds them by itself.
    pub servers: Vec<IpAddr>,
    /// `dns-opts` of the engine.
    pub options: Vec<String>,
    /// The firewall rules that make the embedded server reachable.
    pub redirect: Option<Redirect>,
    /// For name servers that inner containers cannot use.
    pub warnings: Vec<Warning>,
}

impl Dns {
    /// Adds the engine's settings.
    pub fn configure(&self, engine: &mut Engine) {
        if !self.servers.is_empty() {
            let servers: Vec<_> = self.servers.iter().map(ToString::to_string).collect();
            engine.set("dns", servers);
        }
        if !self.options.is_empty() {
            engine.set("dns-opts", self.options.clone());
        }
    }
}

/// The name servers that the user asked for, without a look at the machine.
#[must_use]
pub fn chosen(options: &Options) -> Dns {
    Dns { servers: options.dns.clone(), ..Dns::default() }
}

/// Decides; `ipv6` is whether inner containers have that.
#[must_use]
pub fn decide(facts: &Facts, options: &Options, connection: &Connection, ipv6: bool) -> Dns {
    if !options.dns.is_empty() {
        let unusable: Vec<_> =
            options.dns.iter().filter(|server| !is_reachable(**server, ipv6)).copied().collect();
        let message = format!("inner containers cannot reach the name server {}", list(&unusable));
        let warning = Warning::new(fault::DNS_UNUSABLE, message, HINT);
        let warnings = Some(warning).filter(|_| !unusable.is_empty()).into_iter().collect();
        return Dns { warnings, ..chosen(options) };
    }
    // Without a bridge, inner containers on the node's network have its own resolv.conf.
    let Some(server) = connection.address.map(|address| address.addr()) else { return Dns::default() };
    let servers = &facts.resolv_conf.servers;
    let (usable, mut unusable): (Vec<IpAddr>, Vec<IpAddr>) =
        servers.iter().partition(|server| is_reachable(**server, ipv6));
    // A cache beside the node may answer nobody but the node itself. It is asked where there is no other.
    let embedded = facts.embedded.filter(|it| it.address == embedded_dns::ADDRESS || usable.is_empty());
    let (mut dns, mut why) = (Dns::default(), None);
    if let Some(embedded) = embedded {
        why = match facts.host_network {
            true => Some("the firewall is the machine's own".to_owned()),
            false => why_no_rules(facts),
        };
        if why.is_none() {
            unusable.retain(|server| *server != IpAddr::V4(embedded.address));
            dns = redirected(facts, connection, server, embedded);
            dns.servers.extend(&usable);
        }
    } else if unusable.contains(&IpAddr::V4(embedded_dns::ADDRESS)) {
        why = Some("nothing listens there".to_owned());
    }
    let remaining = if dns.servers.is_empty() { &usable } else { &dns.servers };
    if !unusable.is_empty() || remaining.is_empty() {
        dns.warnings.push(unusable_servers(&unusable, remaining, why));
    }
    dns
}

/// Whether inner containers reach a name server: dockerd leaves others out of what they get.
fn is_reachable(server: IpAddr, ipv6: bool) -> bool {
    (server.is_ipv4() || ipv6) && !server.is_loopback()
}

fn redirected(facts: &Facts, connection: &Connection, server: Ipv4Addr, embedded: Embedded) -> Dns {
    let redirect = Redirect {
        server,
        target: embedded.address,
        udp: embedded.udp,
        tcp: embedded.tcp,
        uplink: connection.network.uplink.clone(),
        bridged: connection.bridged.clone(),
    };
    let options = options_without_ndots(&facts.resolv_conf.options);
    Dns { servers: vec![server.into()], options, redirect: Some(redirect), warnings: Vec::new() }
}

/// The warning of name servers that inner containers cannot use; where no other remains, they would get one that nobody chose.
fn unusable_servers(unusable: &[IpAddr], remaining: &[IpAddr], why: Option<String>) -> Warning {
    let message = match (unusable, remaining) {
        ([], _) => "there is no name server: inner containers would get 8.8.8.8".to_owned(),
        (_, []) => {
            format!("inner containers cannot reach the name server {} and would get 8.8.8.8", list(unusable))
        }
        _ => format!(
            "inner containers cannot reach the name server {}; they get {} alone",
            list(unusable),
            list(remaining)
        ),
    };
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    let code = if remaining.is_empty() { fault::DNS_LOOPBACK } else { fault::DNS_UNUSABLE };
    Warning::new(code, format!("{message}{why}"), HINT)
}

fn list(servers: &[IpAddr]) -> String {
    servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// dockerd copies the node's options, and the embedded server of a user-defined network does not pass on names without
/// a dot once there is an `ndots` (moby, libnetwork/resolver.go): but such are the names of outer containers. An empty
/// list would not replace the node's, so what stays is at least the default (`RES_TIMEOUT`).
fn options_without_ndots(options: &[String]) -> Vec<String> {
    let kept: Vec<_> = options.iter().filter(|option| !option.starts_with("ndots")).cloned().collect();
    if kept.is_empty() { vec!["timeout:5".to_owned()] } else { kept }
}
