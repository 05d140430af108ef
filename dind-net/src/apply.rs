//! Act: the only place that changes the machine.

use crate::arp::{self, Mac};
use crate::bridged::Bridged;
use crate::change::Change;
use crate::facts::Facts;
use crate::fault;
use crate::journal::{self, Folder, Journal};
use crate::links;
use crate::net::Net;
use crate::options::{Backend, Options};
use crate::plan::{Plan, links_name};
use crate::report::{Mode, Network};
use crate::rights;
use crate::rtnl::Netlink;
use crate::wire::mac_bytes;
use dind_contract::{Draft, Failed, Fault, Outcome, Root, State, Steps, Warning};
use ipnet::IpNet;
use std::net::Ipv4Addr;
use std::path::Path;

/// Refuses to change a captured machine.
///
/// # Errors
/// [`fault::ROOT_NOT_HOST`].
pub fn on_host(root: &Root) -> Result<(), Fault> {
    if root.is_host() {
        return Ok(());
    }
    Err(fault::ROOT_NOT_HOST
        .cannot("change", root.path("/").display(), "it is a captured machine")
        .hint("use `plan` with --root, or leave --root away"))
}

/// Decides, and makes it so.
///
/// # Errors
/// All of the README's table.
pub fn apply(options: &Options) -> Outcome<Network> {
    rights::check(options.offset.is_some() && options.probe)?;
    let folder = Folder::at(&options.state);
    let _lock = folder.lock()?;
    let facts = Facts::observe(&Root::default(), &options.state)?;
    let mut plan = Plan::decide(&facts, options)?;
    if facts.journal.is_none() {
        // One of a former life: this namespace is new.
        folder.clear()?;
    }
    let mut steps = Steps::default();
    if let Some(links) = &plan.links {
        links::make(links, &mut steps)?;
    }
    if let Some(bridged) = &plan.bridged
        && let Err(fault) = bridge(bridged, &facts, options, &folder, &mut steps, &mut plan.warnings)
    {
        if let Some(links) = &plan.links
            && steps.0.iter().any(|step| step.op == links::OP && step.state == State::Done)
            && links::remove(&links.folder).is_ok()
        {
            steps.undone();
        }
        return Err(Failed { fault: Box::new(fault), steps });
    }
    Ok(Draft { result: plan.network, engine: plan.engine, steps, warnings: plan.warnings })
}

fn bridge(
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
    let uplink_index = facts.net.link(&bridging.uplink).map_or(0, |link| link.index);
    let mac = mac_of(&bridging.mac);
    let netlink = Netlink::open().map_err(fault::unlistable)?;
    if first && options.probe {
        probe(bridged, uplink_index, mac, warnings)?;
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
        match bridging.forth(&net, &bridged.before).first() {
            None => Ok(net),
            Some(change) => Err(fault::NETLINK_FAILED
                .cannot(change.op(), change, "the kernel took it, and it is not there")
                .hint("stop what else changes the container's network, and run it again")),
        }
    });
    match done {
        Ok(net) => {
            announce(bridged, &net, mac, steps);
            Ok(())
        }
        // A run before this one did the first part, and what it found is not what was there when we came.
        Err(fault) if !first => Err(fault.hint("run `dind-net apply` again, or `dind-net release`")),
        Err(fault) => match restore(bridged) {
            Ok(()) => {
                while steps.changed() {
                    steps.undone();
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

/// On a socket of its own: the failure may have been the other one's.
fn restore(bridged: &Bridged) -> Result<(), Fault> {
    let netlink = Netlink::open().map_err(fault::unlistable)?;
    let net = netlink.read().map_err(fault::unlistable)?;
    make(&netlink, &bridged.bridging.back(&net, &bridged.before), &mut Steps::default())
}

fn make(netlink: &Netlink, changes: &[Change], steps: &mut Steps) -> Result<(), Fault> {
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

/// The hardware address is the old one, so neighbours find us anyway: that it cannot be told is no failure.
fn announce(bridged: &Bridged, net: &Net, mac: Mac, steps: &mut Steps) {
    let Some(link) = net.link(&bridged.bridging.bridge) else { return };
    let addresses: Vec<Ipv4Addr> = net
        .addresses_of(&link.name)
        .filter_map(|address| match address.address {
            IpNet::V4(own) => Some(own.addr()),
            IpNet::V6(_) => None,
        })
        .collect();
    let state = if arp::announce(link.index, mac, &addresses).is_ok() { State::Done } else { State::Skipped };
    let list: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    steps.push("announce-address", list.join(" "), state);
}

/// Gives back what an apply took, and succeeds when there is nothing left.
///
/// # Errors
/// [`fault::NETLINK_FAILED`], [`fault::LINKS_FAILED`], those of [`rights::check`] and of the journal.
pub fn release(state: &Path) -> Outcome<Network> {
    let folder = Folder::at(state);
    let mut steps = Steps::default();
    if state.is_dir() {
        let _lock = folder.lock()?;
        let done = give_back(&folder, state, &mut steps);
        done.map_err(|fault| Failed { fault: Box::new(fault), steps: steps.clone() })?;
    }
    let result = Network { mode: Mode::Released, ..Network::default() };
    Ok(Draft { result, steps, ..Draft::default() })
}

fn give_back(folder: &Folder, state: &Path, steps: &mut Steps) -> Result<(), Fault> {
    if let Some(journal) = journal::read(&Root::default(), state)? {
        let netlink = Netlink::open().map_err(fault::unlistable)?;
        let net = netlink.read().map_err(fault::unlistable)?;
        if journal.is_live(&net) {
            rights::check(false)?;
            make(&netlink, &journal.bridging.back(&net, &journal.before), steps)?;
        }
        folder.clear()?;
    }
    for backend in [Backend::Nft, Backend::Legacy] {
        let links = folder.join(links_name(backend));
        if links.symlink_metadata().is_ok() {
            links::remove(&links)?;
            steps.push("unlink-iptables", links.display(), State::Done);
        }
    }
    Ok(())
}

fn mac_of(text: &str) -> Mac {
    Mac::try_from(mac_bytes(text).as_slice()).unwrap_or_default()
}
