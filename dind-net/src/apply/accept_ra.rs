//! Router advertisements, taken although the uplink will forward.
//!
//! dockerd switches IPv6 forwarding on. With it, the kernel forgets the routes that it has learned from routers, and takes no
//! more of them, unless `accept_ra` is 2 (Documentation/networking/ip-sysctl.rst; `rt6_purge_dflt_routers` of net/ipv6/route.c).

use crate::apply::context::Context;
use crate::facts::ipv6::{FILE, Record, control};
use crate::fault;
use dind_contract::Fault;
use dind_contract::step::{Applied, Undo};
use std::{fs, io};

/// Taken even where packets are forwarded.
const ALWAYS: &str = "2";

/// Writes down what was set, and has advertisements taken always.
///
/// # Errors
/// [`fault::ACCEPT_RA_FAILED`].
pub(crate) fn set(context: &Context, record: &Record) -> Result<Applied<Context>, Fault> {
    let path = control(&record.link, "accept_ra");
    let done = context.state.write_json(FILE, record).and_then(|()| fs::write(&path, ALWAYS));
    done.map_err(|error| failed(&path, &error))?;
    let record = record.clone();
    Ok(Applied::undo(move |context: &mut Context| put_back(context, &record).is_ok()))
}

/// Puts back what was written down, unless somebody has changed it since.
///
/// # Errors
/// [`fault::ACCEPT_RA_FAILED`].
pub(crate) fn restore(context: &Context, record: &Record) -> Result<Applied<Context>, Fault> {
    let done = put_back(context, record);
    done.map_err(|error| failed(&control(&record.link, "accept_ra"), &error))?;
    Ok(Applied::Done(Undo::Keep))
}

fn put_back(context: &Context, record: &Record) -> io::Result<()> {
    let path = control(&record.link, "accept_ra");
    // A container that starts again has a new link, which is as its runtime made it.
    if fs::read_to_string(&path).is_ok_and(|text| text.trim() == ALWAYS) {
        fs::write(&path, record.accept_ra.to_string())?;
    }
    context.state.remove(FILE)
}

fn failed(path: &str, error: &io::Error) -> Fault {
    fault::ACCEPT_RA_FAILED
        .cannot("set", path, error)
        .hint("make /proc/sys and the state directory writable, or set DIND_NET_IPV6=false")
}
