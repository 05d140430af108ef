//! Default mode: inner containers in subnets of their own, behind the node's address.

use crate::facts::Facts;
use crate::fault;
use crate::options::Options;
use crate::plan::connection::Connection;
use crate::plan::{mtu, pool};
use dind_contract::{Fault, Warning};

/// Decides.
///
/// # Errors
/// [`fault::ALREADY_BRIDGED`], [`fault::UPLINK_MISSING`], and those of [`pool::networks`] and [`mtu::of_uplink`].
pub fn decide(facts: &Facts, options: &Options, warnings: &mut Vec<Warning>) -> Result<Connection, Fault> {
    if let Some(original) = &facts.original {
        let (uplink, bridge) = (&original.bridging.uplink, &original.bridging.bridge);
        return Err(fault::ALREADY_BRIDGED
            .failed("cannot use default mode", format!("{uplink} is in {bridge}"))
            .hint("run `dind-net release` first, or set DOCKER_NETWORK_OFFSET again"));
    }
    if facts.host_network {
        warnings.push(Warning::new(
            fault::SHARED_HOST_NETWORK,
            "this is the machine's own network namespace: docker0 and all firewall rules are shared with it",
            "run the container without --network host",
        ));
    }
    let networks = pool::networks(facts, options, warnings)?;
    let mut connection = Connection::default_mode(&options.bridge, networks.bridge, &networks.pools);
    set_uplink(facts, options, &mut connection)?;
    Ok(connection)
}

/// Sets the link to the outer network, and what it carries. One of IPv6 counts where there is none of IPv4.
///
/// # Errors
/// [`fault::UPLINK_MISSING`], and those of [`mtu::of_uplink`].
pub fn set_uplink(facts: &Facts, options: &Options, connection: &mut Connection) -> Result<(), Fault> {
    let mut routes: Vec<_> = facts.net.routes.iter().collect();
    routes.retain(|route| route.is_default() || route.is_default6());
    routes.sort_by_key(|route| (route.is_default6(), route.metric));
    let name = options.uplink.clone().or_else(|| routes.first().map(|route| route.link.clone()));
    match name.as_ref().and_then(|name| facts.net.link(name)) {
        Some(uplink) => {
            connection.network.uplink = Some(uplink.name.clone());
            connection.set_mtu(mtu::of_uplink(uplink, options)?);
        }
        None => match (options.mtu, &options.uplink) {
            (Some(mtu), _) => connection.set_mtu(mtu),
            (None, Some(name)) => return Err(fault::no_link(name)),
            // `--network none`: there is no outer network to fit to.
            (None, None) => {}
        },
    }
    Ok(())
}
