//! The uplink joins the bridge, and what it had moves along, or nothing has happened.
//!
//! Before the first change, [`check`] asks whether the range is free and whether the gateway answers, and [`save`] writes
//! down what the uplink has. Whatever has been changed by then is undone by state and at once: from what is to what was saved.
//! After the last change, [`verify`] is the last moment to go back.

use crate::apply::context::Context;
use crate::apply::probe;
use crate::facts::original::Original;
use crate::fault;
use crate::netlink::change::Change;
use crate::netlink::transient;
use crate::options::Options;
use crate::plan::Plan;
use crate::plan::bridged::Bridged;
use crate::plan::step::Step;
use crate::plan::transition::{to_bridged, to_original};
use dind_contract::step::{Applied, Step as _, Undo};
use dind_contract::{Fault, Warning};
use std::net::Ipv4Addr;
use std::time::Duration;

/// How long a gateway may take to answer: on a bridge of the same machine it takes microseconds.
const ANSWER_LIMIT: Duration = Duration::from_millis(300);
/// How long one that has answered may take to answer over the new bridge. The kernel takes up to a second to note that a link
/// carries (net/core/link_watch.c: once a second), and longer where processors are busy or emulated.
const BRIDGE_LIMIT: Duration = Duration::from_secs(3);

/// What is expected after the last change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Nothing is changed.
    Nothing,
    /// Everything is in place.
    Changes,
    /// Everything is in place, and the gateway answers as it did before.
    ChangesAndGateway,
}

/// Asks before the first change. What a run before this one has begun is not asked about again.
///
/// # Errors
/// [`fault::RANGE_IN_USE`], [`fault::ARP_FAILED`].
pub(crate) fn check(
    plan: &Plan,
    options: &Options,
    context: &mut Context,
) -> Result<(Expected, Vec<Warning>), Fault> {
    let changes = plan.steps.iter().any(|step| matches!(step, Step::Change(_)));
    let Some(bridged) = plan.bridged.as_ref().filter(|_| changes) else {
        return Ok((Expected::Nothing, Vec::new()));
    };
    let journal = plan.steps.iter().find_map(|step| match step {
        Step::WriteJournal { original, .. } => Some(original),
        _ => None,
    });
    let Some(original) = journal else { return Ok((Expected::Changes, Vec::new())) };
    let mut warnings = Vec::new();
    if options.probe {
        let range6 = plan.place6.map(|place| place.range);
        warnings.extend(probe::ask_both(bridged.range.net, range6, original.uplink_index)?);
    }
    // One that does not answer now is not expected to answer later; a permanent neighbour is never asked.
    if bridged.before.neighbours.iter().any(|entry| entry.address == bridged.gateway) {
        return Ok((Expected::Changes, warnings));
    }
    if answers(context, original.uplink_index, bridged.gateway, ANSWER_LIMIT)? {
        return Ok((Expected::ChangesAndGateway, warnings));
    }
    let gateway = bridged.gateway;
    warnings.push(Warning::new(
        fault::GATEWAY_SILENT,
        format!("the gateway {gateway} does not answer ARP; that it can still be reached is not verified"),
        "",
    ));
    Ok((Expected::Changes, warnings))
}

/// Whether a neighbour answers ARP in time. Where the kernel does not take the question, nobody does.
fn answers(context: &mut Context, link: u32, gateway: Ipv4Addr, limit: Duration) -> Result<bool, Fault> {
    let netlink = context.netlink()?;
    match transient::retry(|| netlink.answers(link, gateway, limit)) {
        Err(error) if transient::is_transient(&error) => Err(fault::NETLINK_FAILED
            .cannot("ask for", gateway, error)
            .hint("run it again; nothing is left changed")),
        answer => Ok(answer.unwrap_or(false)),
    }
}

/// Writes down what the uplink has. To undo it is to restore just that.
///
/// # Errors
/// [`fault::JOURNAL_FAILED`].
pub(crate) fn save(context: &Context, original: &Original) -> Result<Applied<Context>, Fault> {
    context.state.write_journal(original)?;
    let original = original.clone();
    Ok(Applied::undo(move |context: &mut Context| match restore(context, &original) {
        Ok(()) => true,
        Err(fault) => {
            context.undo_failed = Some((original.bridging.uplink, fault));
            false
        }
    }))
}

fn restore(context: &mut Context, original: &Original) -> Result<(), Fault> {
    let netlink = context.new_netlink()?;
    let net = netlink.read().map_err(fault::unlistable)?;
    for change in to_original(&original.bridging, &net, &original.before) {
        netlink.make(&change).map_err(|error| failed(&change, error))?;
    }
    context.state.remove_journal()
}

/// Makes one change. It is undone together with those before it, by what [`save`] has written; unless a run before this one
/// did the first part, for what this one found is not what was there in the beginning.
///
/// # Errors
/// [`fault::NETLINK_FAILED`].
pub(crate) fn make(context: &mut Context, change: &Change) -> Result<Applied<Context>, Fault> {
    let made = context.netlink()?.make(change).map_err(|error| failed(change, error));
    match context.finishing {
        true => made.map_err(run_again).map(|()| Applied::Done(Undo::Keep)),
        false => made.map(|()| Applied::Done(Undo::WithPrevious)),
    }
}

fn failed(change: &Change, error: std::io::Error) -> Fault {
    let hint = match change {
        Change::CreateBridge { .. } => "load the kernel's bridge module on the machine: modprobe bridge",
        Change::AddAddress(address) if address.address.addr().is_ipv6() => {
            "make /proc/sys writable: Docker switches IPv6 off for new links, and it has to be on for the bridge"
        }
        _ => "run it again; compare `ip -d link`, `ip addr` and `ip route` with the step's target",
    };
    fault::NETLINK_FAILED.cannot(Step::Change(change.clone()).op(), change, error).hint(hint)
}

fn run_again(fault: Fault) -> Fault {
    fault.hint("run `dind-net apply` again, or `dind-net release`")
}

/// The last moment to go back: is everything in place, and does the gateway still answer?
///
/// # Errors
/// [`fault::NETLINK_FAILED`], [`fault::GATEWAY_LOST`].
pub(crate) fn verify(plan: &Plan, expected: Expected, context: &mut Context) -> Result<(), Fault> {
    let Some(bridged) = plan.bridged.as_ref().filter(|_| expected != Expected::Nothing) else {
        return Ok(());
    };
    let verified = verify_bridge(bridged, expected, context);
    if context.finishing { verified.map_err(run_again) } else { verified }
}

fn verify_bridge(bridged: &Bridged, expected: Expected, context: &mut Context) -> Result<(), Fault> {
    let bridging = &bridged.bridging;
    let netlink = context.netlink()?;
    let net = netlink.read().map_err(fault::unlistable)?;
    if let Some(change) = to_bridged(bridging, &net, &bridged.before).into_iter().next() {
        let op = Step::Change(change.clone()).op();
        return Err(fault::NETLINK_FAILED
            .cannot(op, change, "the kernel accepted the change but it did not take effect")
            .hint("stop what else changes the container's network, and run it again"));
    }
    let link = net.link(&bridging.bridge).map_or(0, |link| link.index);
    if expected == Expected::ChangesAndGateway && !answers(context, link, bridged.gateway, BRIDGE_LIMIT)? {
        let cause = format!("it answered over {}, but not over {}", bridging.uplink, bridging.bridge);
        return Err(fault::GATEWAY_LOST
            .cannot("reach", bridged.gateway, cause)
            .hint("remove firewall rules of the bridge family from the container, or leave DOCKER_NETWORK_OFFSET unset"));
    }
    Ok(())
}
