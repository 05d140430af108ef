//! Is an address of an IPv6 range in use? Asked by neighbour solicitations.

use crate::fault;
use crate::netlink::arp::PROBED_AT_MOST;
use crate::netlink::ndisc;
use dind_contract::{Fault, Warning};
use ipnet::Ipv6Net;
use std::net::Ipv6Addr;

/// Asks for every address of a range, or the first 4096.
///
/// # Errors
/// [`fault::RANGE_IN_USE`], [`fault::NDISC_FAILED`].
pub(crate) fn ask(range: Ipv6Net, link: u32) -> Result<Option<Warning>, Fault> {
    let (first, last) = (u128::from(range.network()), u128::from(range.broadcast()));
    let addresses: Vec<Ipv6Addr> = (first..=last).take(PROBED_AT_MOST).map(Ipv6Addr::from).collect();
    let found = ndisc::probe(link, &addresses).map_err(|error| {
        fault::NDISC_FAILED
            .cannot("probe", range, error)
            .hint("set DIND_NET_PROBE=false to leave the range unprobed")
    })?;
    if let Some((address, other)) = found {
        let other = other.map(|byte| format!("{byte:02x}")).join(":");
        return Err(fault::RANGE_IN_USE
            .cannot("use", range, format!("{address} is in use by {other}"))
            .cause(fault::RANGE_IN_USE.name)
            .hint("choose another DOCKER_NETWORK_OFFSET6, or set DIND_NET_IPV6=false"));
    }
    let partial = last - first >= PROBED_AT_MOST as u128;
    Ok(partial.then(|| {
        Warning::new(
            fault::PROBE_PARTIAL,
            format!("of {range} only the first {PROBED_AT_MOST} addresses are probed"),
            "choose a longer DOCKER_NETWORK_SIZE6",
        )
    }))
}
