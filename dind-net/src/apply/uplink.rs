//! Act: the uplink joins the bridge, and what it had moves along, or nothing has happened.

use crate::arp::{self, Mac};
use crate::bridged::Bridged;
use crate::change::Change;
use crate::facts::Facts;
use crate::fault;
use crate::journal::{Folder, Journal};
use crate::net::Net;
use crate::options::Options;
use crate::rtnl::Netlink;
use crate::wire::mac_bytes;
use dind_contract::{Fault, State, Steps, Warning};
use std::net::Ipv4Addr;

/// Bridges the uplink, if that is not done yet.
///
/// # Errors
/// [`fault::RANGE_IN_USE`], [`fault::NETLINK_FAILED`], [`fault::GATEWAY_LOST`] and those of the journal: everything is
/// as it was. [`fault::UNDO_FAILED`]: it is not.
pub fn bridge(
    bridged: &Bridged,
    facts: &Facts,
    options: &Options,
    folder: &Folder,
    steps: &mut Steps,
    warnings: &mut Vec<Warning>,
) -> Result<(), Fault> {
    let bridging = &bridged.bridging;
    let changes = bridging.forth(&facts.net, &bridged.before);
    if changes.is_empty() {
        steps.push("bridge-uplink", &bridging.uplink, State::Skipped);
        return Ok(());
    }
    let first = facts.journal.is_none();
    let earlier = steps.0.len();
    let uplink_index = facts.net.link(&bridging.uplink).map_or(0, |link| link.index);
    let netlink = Netlink::open().map_err(fault::unlistable)?;
    if first && options.probe {
        probe(bridged, uplink_index, mac_of(&bridging.mac), warnings)?;
    }
    // One that does not answer now is not expected to answer later.
    let known = bridged.before.neighbours.iter().any(|entry| entry.address == bridged.gateway);
    let asked = first && !known && netlink.answers(uplink_index, bridged.gateway).unwrap_or(false);
    if first && !known && !asked {
        warnings.push(Warning::new(
            fault::GATEWAY_SILENT,
            format!(
                "the gateway {} does not answer ARP; that it still can be reached is not verified",
                bridged.gateway
            ),
            "",
        ));
    }
    if first {
        folder.write(&Journal {
            bridging: bridging.clone(),
            uplink_index,
            before: bridged.before.clone(),
        })?;
    }
    let done = make(&netlink, &changes, steps).and_then(|()| {
        let net = netlink.read().map_err(fault::unlistable)?;
        verify(bridged, &netlink, &net, asked)
    });
    match done {
        Ok(()) => Ok(()),
        // A run before this one did the first part, and what it found is not what was there when we came.
        Err(fault) if !first => Err(fault.hint("run `dind-net apply` again, or `dind-net release`")),
        Err(fault) => match restore(bridged) {
            Ok(()) => {
                for step in steps.0.iter_mut().skip(earlier) {
                    step.state = State::Undone;
                }
                folder.clear()?;
                Err(fault)
            }
            Err(second) => Err(fault::UNDO_FAILED
                .cannot("give back", &bridging.uplink, &second)
                .cause(&fault)
                .hint("run `dind-net release`")),
        },
    }
}

/// The last moment to go back: is everything there, and does the gateway still answer?
fn verify(bridged: &Bridged, netlink: &Netlink, net: &Net, asked: bool) -> Result<(), Fault> {
    let bridging = &bridged.bridging;
    if let Some(change) = bridging.forth(net, &bridged.before).first() {
        return Err(fault::NETLINK_FAILED
            .cannot(change.op(), change, "the kernel took it, and it is not there")
            .hint("stop what else changes the container's network, and run it again"));
    }
    let link = net.link(&bridging.bridge).map_or(0, |link| link.index);
    if asked && !netlink.answers(link, bridged.gateway).unwrap_or(false) {
        return Err(fault::GATEWAY_LOST
            .cannot("reach", bridged.gateway, format!("it answered over {}, and not over {}", bridging.uplink, bridging.bridge))
            .hint("remove firewall rules of the bridge family from the container, or leave DOCKER_NETWORK_OFFSET unset"));
    }
    Ok(())
}

/// On a socket of its own: the failure may have been the other one's.
fn restore(bridged: &Bridged) -> Result<(), Fault> {
    let netlink = Netlink::open().map_err(fault::unlistable)?;
    let net = netlink.read().map_err(fault::unlistable)?;
    make(&netlink, &bridged.bridging.back(&net, &bridged.before), &mut Steps::default())
}

pub(crate) fn make(netlink: &Netlink, changes: &[Change], steps: &mut Steps) -> Result<(), Fault> {
    for change in changes {
        netlink.make(change).map_err(|error| {
            let hint = match change {
                Change::CreateBridge { .. } => {
                    "load the kernel's bridge module on the machine: modprobe bridge"
                }
                _ => "run it again; compare `ip -d link`, `ip addr` and `ip route` with the step's target",
            };
            fault::NETLINK_FAILED.cannot(change.op(), change, error).hint(hint)
        })?;
        steps.push(change.op(), change, State::Done);
    }
    Ok(())
}

fn probe(bridged: &Bridged, link: u32, mac: Mac, warnings: &mut Vec<Warning>) -> Result<(), Fault> {
    let range = bridged.range.net;
    // All of them: dockerd hands out the range's first and last address too.
    let all = u32::from(range.network())..=u32::from(range.broadcast());
    let addresses: Vec<Ipv4Addr> = all.clone().take(arp::PROBED_AT_MOST).map(Ipv4Addr::from).collect();
    if all.count() > arp::PROBED_AT_MOST {
        warnings.push(Warning::new(
            fault::PROBE_PARTIAL,
            format!("of {range} only the first {} addresses are probed", arp::PROBED_AT_MOST),
            "choose a longer DOCKER_NETWORK_SIZE",
        ));
    }
    let found = arp::probe(link, mac, &addresses).map_err(|error| {
        fault::ARP_FAILED
            .cannot("probe", range, error)
            .hint("set DIND_NET_PROBE=false to leave the range unprobed")
    })?;
    let Some((address, other)) = found else { return Ok(()) };
    let other = other.map(|byte| format!("{byte:02x}")).join(":");
    Err(fault::RANGE_IN_USE
        .cannot("use", range, format!("{address} is in use by {other}"))
        .cause(fault::RANGE_IN_USE.name)
        .hint("choose another DOCKER_NETWORK_OFFSET; keep the outer network out of the range with docker network create --ip-range"))
}

fn mac_of(text: &str) -> Mac {
    Mac::try_from(mac_bytes(text).as_slice()).unwrap_or_default()
}
