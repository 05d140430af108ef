//! Is an address of a range in use? Asked by ARP, or by neighbour solicitations, before an apply or beside it.

use crate::apply::privileges;
use crate::facts::Facts;
use crate::fault;
use crate::netlink::arp::{self, Mac, PROBED_AT_MOST};
use crate::netlink::ndisc;
use crate::options::Options;
use crate::plan;
use crate::report::{Mode, Network};
use dind_contract::{Code, Draft, Fault, Outcome, Warning};
use dind_system::Root;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use nix::net::if_::if_nametoindex;
use std::fmt::Display;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::thread;

/// Asks for the range that a plan for this machine has. In default mode there is none.
///
/// # Errors
/// Those of the plan, and of [`probe`].
pub fn probe_planned(options: &Options) -> Outcome<Network> {
    let plan = plan::decide(&Facts::observe(&Root::default(), options)?, options)?;
    match &plan.bridged {
        Some(bridged) => {
            let range6 = plan.place6.map(|place| place.range);
            of_link(&bridged.bridging.uplink, bridged.range.net.into(), |link| {
                ask_both(bridged.range.net, range6, link)
            })
        }
        None => Ok(Draft {
            result: Network { mode: plan.network.mode, ..Network::default() },
            ..Draft::default()
        }),
    }
}

/// Asks for a range on a link, and reads nothing else of the machine: what an apply changes meanwhile does not matter.
///
/// # Errors
/// [`fault::RANGE_IN_USE`], [`fault::ARP_FAILED`], [`fault::NDISC_FAILED`], [`fault::UPLINK_MISSING`], and those of missing
/// privileges.
pub fn probe(range: IpNet, link: &str) -> Outcome<Network> {
    of_link(link, range, |link| match range {
        IpNet::V4(range) => Ok(ask(range, link)?.into_iter().collect()),
        IpNet::V6(range) => Ok(ask6(range, link)?.into_iter().collect()),
    })
}

fn of_link(
    link: &str,
    range: IpNet,
    ask: impl FnOnce(u32) -> Result<Vec<Warning>, Fault>,
) -> Outcome<Network> {
    privileges::check_raw()?;
    let warnings = ask(if_nametoindex(link).map_err(|_| fault::no_link(link))?)?;
    let (uplink, range) = (Some(link.to_owned()), Some(range.to_string()));
    let result = Network { mode: Mode::Bridged, uplink, range, ..Network::default() };
    Ok(Draft { result, warnings, ..Draft::default() })
}

/// Asks for the ranges of IPv4 and IPv6 at the same time.
///
/// # Errors
/// Those of [`ask`] and [`ask6`].
pub(crate) fn ask_both(range: Ipv4Net, range6: Option<Ipv6Net>, link: u32) -> Result<Vec<Warning>, Fault> {
    let (first, second) = thread::scope(|scope| {
        let asking = range6.map(|range| scope.spawn(move || ask6(range, link)));
        let first = ask(range, link);
        (first, asking.map(thread::ScopedJoinHandle::join))
    });
    let panicked = || fault::NDISC_FAILED.failed("cannot probe the IPv6 range", "its thread has panicked");
    let second = second.map(|second| second.unwrap_or_else(|_| Err(panicked().hint("run it again"))));
    Ok([first?, second.transpose()?.flatten()].into_iter().flatten().collect())
}

/// Asks for every address of a range, dockerd's first and last one among them, or for as many as are probed.
///
/// # Errors
/// [`fault::RANGE_IN_USE`], [`fault::ARP_FAILED`].
pub(crate) fn ask(range: Ipv4Net, link: u32) -> Result<Option<Warning>, Fault> {
    let all = u32::from(range.network())..=u32::from(range.broadcast());
    let partial = all.clone().count() > PROBED_AT_MOST;
    let addresses: Vec<_> = all.take(PROBED_AT_MOST).map(Ipv4Addr::from).collect();
    let found = arp::probe(link, &addresses).map_err(|error| (fault::ARP_FAILED, error));
    judge(range.into(), found, partial)
}

/// The same for IPv6.
///
/// # Errors
/// [`fault::RANGE_IN_USE`], [`fault::NDISC_FAILED`].
fn ask6(range: Ipv6Net, link: u32) -> Result<Option<Warning>, Fault> {
    let (first, last) = (u128::from(range.network()), u128::from(range.broadcast()));
    let addresses: Vec<_> = (first..=last).take(PROBED_AT_MOST).map(Ipv6Addr::from).collect();
    let found = ndisc::probe(link, &addresses).map_err(|error| (fault::NDISC_FAILED, error));
    judge(range.into(), found, last - first >= PROBED_AT_MOST as u128)
}

fn judge<A: Display>(
    range: IpNet,
    found: Result<Option<(A, Mac)>, (Code, io::Error)>,
    partial: bool,
) -> Result<Option<Warning>, Fault> {
    let (choose_another, choose_longer) = match range {
        IpNet::V4(_) => (
            "choose another DOCKER_NETWORK_OFFSET; keep the outer network out of the range with docker network create --ip-range",
            "choose a longer DOCKER_NETWORK_SIZE",
        ),
        IpNet::V6(_) => (
            "choose another DOCKER_NETWORK_OFFSET6, or set DIND_NET_IPV6=false",
            "choose a longer DOCKER_NETWORK_SIZE6",
        ),
    };
    let found = found.map_err(|(code, error)| {
        code.cannot("probe", range, error).hint("set DIND_NET_PROBE=false to leave the range unprobed")
    })?;
    if let Some((address, other)) = found {
        let other = other.map(|byte| format!("{byte:02x}")).join(":");
        return Err(fault::RANGE_IN_USE
            .cannot("use", range, format!("{address} is in use by {other}"))
            .cause(fault::RANGE_IN_USE.name)
            .hint(choose_another));
    }
    let words = format!("of {range} only the first {PROBED_AT_MOST} addresses are probed");
    Ok(partial.then(|| Warning::new(fault::PROBE_PARTIAL, words, choose_longer)))
}
