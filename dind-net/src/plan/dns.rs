//! The name servers of inner containers.
//!
//! dockerd leaves loopback servers out of what containers get, and where nothing remains it writes 8.8.8.8. So the embedded
//! server is made reachable, at the address of the bridge.

use crate::facts::Facts;
use crate::facts::embedded_dns::{self, Embedded};
use crate::fault;
use crate::firewall::dns::Dns as Redirect;
use crate::options::Options;
use crate::plan::connection::Connection;
use crate::plan::rules::why_no_rules;
use dind_contract::{Engine, Warning};
use std::net::IpAddr;

/// What was decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dns {
    /// `dns` of the engine; empty where dockerd finds them by itself.
    pub servers: Vec<IpAddr>,
    /// `dns-opts` of the engine.
    pub options: Vec<String>,
    /// The firewall rules that make the embedded server reachable.
    pub redirect: Option<Redirect>,
    /// For containers that would get name servers nobody chose.
    pub warning: Option<Warning>,
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

/// Decides.
#[must_use]
pub fn decide(facts: &Facts, options: &Options, connection: &Connection) -> Dns {
    if !options.dns.is_empty() {
        return chosen(options);
    }
    let servers = &facts.resolv_conf.servers;
    let uses_embedded = servers.contains(&IpAddr::V4(embedded_dns::ADDRESS));
    if !uses_embedded && !servers.iter().all(IpAddr::is_loopback) {
        return Dns::default();
    }
    let why = match facts.embedded {
        Some(_) if facts.host_network => Some("the firewall is the machine's own".to_owned()),
        Some(embedded) => match why_no_rules(facts) {
            None => return redirected(facts, connection, embedded),
            why => why,
        },
        None if uses_embedded => Some("nothing listens there".to_owned()),
        None => None,
    };
    Dns { warning: Some(unreachable_servers(servers, why)), ..Dns::default() }
}

fn redirected(facts: &Facts, connection: &Connection, embedded: Embedded) -> Dns {
    let server = connection.address.addr();
    let redirect = Redirect {
        server,
        target: embedded_dns::ADDRESS,
        udp: embedded.udp,
        tcp: embedded.tcp,
        uplink: connection.network.uplink.clone(),
        bridged: connection.bridged.clone(),
    };
    let options = options_without_ndots(&facts.resolv_conf.options);
    Dns { servers: vec![server.into()], options, redirect: Some(redirect), warning: None }
}

fn unreachable_servers(servers: &[IpAddr], why: Option<String>) -> Warning {
    let names: Vec<_> = servers.iter().map(ToString::to_string).collect();
    let message = if servers.is_empty() {
        "there is no name server: inner containers would get 8.8.8.8".to_owned()
    } else {
        format!("inner containers cannot reach the name server {} and would get 8.8.8.8", names.join(", "))
    };
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    Warning::new(
        fault::DNS_LOOPBACK,
        format!("{message}{why}"),
        "set DIND_NET_DNS to name servers that inner containers can reach",
    )
}

/// dockerd copies the node's options, and the embedded server of a user-defined network does not pass on names without
/// a dot once there is an `ndots` (moby, libnetwork/resolver.go): but such are the names of outer containers. An empty
/// list would not replace the node's, so what stays is at least the default (`RES_TIMEOUT`).
fn options_without_ndots(options: &[String]) -> Vec<String> {
    let kept: Vec<_> = options.iter().filter(|option| !option.starts_with("ndots")).cloned().collect();
    if kept.is_empty() { vec!["timeout:5".to_owned()] } else { kept }
}
