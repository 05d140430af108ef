//! Our firewall rules, put in place and taken away, with a file that remembers them.
//!
//! The file is written before the rules, and removed after them: what a killed run has made is found by the next one.
//! Forwarding queries to 127.0.0.11 needs `route_localnet`, which is on only while the rules guard what it would let in.

use crate::apply::context::Context;
use crate::apply::state_dir::StateDir;
use crate::fault;
use crate::firewall::names::TABLE;
use crate::firewall::rules::Rules;
use crate::firewall::state::{FILE, ROUTE_LOCALNET, Record, route_localnet};
use crate::firewall::transaction::{Changed, change};
use dind_contract::Fault;
use dind_contract::step::Applied;
use dind_system::Root;
use nix::libc::{EACCES, ENOENT, EOPNOTSUPP, EPERM, EPROTONOSUPPORT, EROFS};
use std::io;

/// Makes the rules in place of those that were found.
///
/// # Errors
/// [`fault::RULES_FAILED`]; what was found is in place again. Where the kernel, or the container's rights, have no room for
/// such rules, the context says so.
pub(crate) fn make(
    context: &mut Context,
    rules: &Rules,
    found: Option<&Record>,
) -> Result<Applied<Context>, Fault> {
    let was_off = found.map_or_else(|| !localnet(), |found| found.route_localnet_was_off);
    let made = Record { rules: rules.clone(), route_localnet_was_off: was_off };
    let failed = |error: &io::Error| {
        fault::RULES_FAILED
            .failed(format!("cannot make table ip {TABLE}"), error)
            .hint("run it again; if it fails again, set DIND_NET_DNS to name servers that inner containers can reach")
    };
    context.state.write_json(FILE, &made).map_err(|error| failed(&error))?;
    let found = found.cloned();
    if let Err(error) = establish(&made) {
        let unsupported = matches!(
            error.raw_os_error(),
            Some(ENOENT | EOPNOTSUPP | EPROTONOSUPPORT | EROFS | EACCES | EPERM)
        );
        if restore(&context.state, found.as_ref(), &made).is_ok() && unsupported {
            context.rules_refused = Some(error.to_string());
        }
        return Err(failed(&error));
    }
    Ok(Applied::undo(move |context: &mut Context| restore(&context.state, found.as_ref(), &made).is_ok()))
}

/// Removes the rules; what does not exist is not an error.
///
/// # Errors
/// [`fault::RULES_FAILED`].
pub(crate) fn remove(context: &mut Context, found: &Record) -> Result<Applied<Context>, Fault> {
    let changed = clear(&context.state, found).map_err(|error| {
        fault::RULES_FAILED
            .failed(format!("cannot remove {}", found.rules), error)
            .hint("run `dind-net release`")
    })?;
    context.freeing.push(changed);
    let found = found.clone();
    Ok(Applied::undo(move |context: &mut Context| {
        context.state.write_json(FILE, &found).and_then(|()| establish(&found)).is_ok()
    }))
}

/// What was found, in place of what was made.
fn restore(state: &StateDir, found: Option<&Record>, made: &Record) -> io::Result<()> {
    match found {
        None => clear(state, made).map(drop),
        Some(found) => state.write_json(FILE, found).and_then(|()| establish(found)),
    }
}

/// These rules, in place of whatever of ours exists.
fn establish(record: &Record) -> io::Result<()> {
    let needs_localnet = record.rules.dns.is_some();
    if !needs_localnet {
        switch_localnet_off(record)?;
    }
    drop(put(&record.rules)?);
    if needs_localnet && !localnet() { std::fs::write(ROUTE_LOCALNET, "1") } else { Ok(()) }
}

fn clear(state: &StateDir, made: &Record) -> io::Result<Changed> {
    switch_localnet_off(made)?;
    let changed = put(&Rules::default())?;
    state.remove(FILE)?;
    Ok(changed)
}

fn put(rules: &Rules) -> io::Result<Changed> {
    change(|content| rules.transaction(content))
}

fn switch_localnet_off(record: &Record) -> io::Result<()> {
    if record.route_localnet_was_off && localnet() { std::fs::write(ROUTE_LOCALNET, "0") } else { Ok(()) }
}

fn localnet() -> bool {
    route_localnet(&Root::default())
}
