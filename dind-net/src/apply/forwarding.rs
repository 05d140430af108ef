//! Forwarding, switched on and off: see [`crate::firewall::forwarding`] for what that means.

use crate::apply::context::Context;
use crate::fault;
use crate::firewall::content::{ForwardChain, look};
use crate::firewall::forwarding::{FILE, IP_FORWARD, create, remove};
use crate::firewall::transaction::change;
use crate::plan::step::FORWARDING;
use dind_contract::Fault;
use dind_contract::step::{Applied, Undo};
use std::fs;
use std::io;

/// Makes the chain, and switches forwarding on. What fails is left to dockerd, which tries it again and reports the cause.
pub(crate) fn enable(context: &Context) -> Applied<Context> {
    if context.state.write_json(FILE, &true).is_err()
        || !change(create).is_ok_and(|changed| changed.happened())
    {
        return Applied::Skipped;
    }
    match fs::write(IP_FORWARD, "1") {
        Ok(()) => Applied::undo(|_| switch_off().is_ok_and(|done| done)),
        Err(_) => {
            // What is left of the chain is no obstacle for dockerd.
            let _ = switch_off();
            Applied::Skipped
        }
    }
}

/// Switches on what our rules close, the last step of an apply: nothing has to be undone but what this has done itself.
///
/// # Errors
/// [`fault::FORWARDING_FAILED`]; what was switched on before is off again.
pub(crate) fn switch_on(controls: &[String]) -> Result<Applied<Context>, Fault> {
    for (index, control) in controls.iter().enumerate() {
        if let Err(error) = fs::write(control, "1") {
            let _ = set_all(&controls[..index], "0");
            return Err(forwarding_failed(control, &error));
        }
    }
    let controls = controls.to_vec();
    Ok(Applied::undo(move |_| set_all(&controls, "0").is_ok()))
}

/// Switches it off again.
///
/// # Errors
/// [`fault::FORWARDING_FAILED`].
pub(crate) fn switch_closed_off(controls: &[String]) -> Result<Applied<Context>, Fault> {
    set_all(controls, "0").map_err(|(control, error)| forwarding_failed(&control, &error))?;
    let controls = controls.to_vec();
    Ok(Applied::undo(move |_| set_all(&controls, "1").is_ok()))
}

fn set_all(controls: &[String], value: &str) -> Result<(), (String, io::Error)> {
    controls.iter().try_for_each(|path| fs::write(path, value).map_err(|error| (path.clone(), error)))
}

fn forwarding_failed(control: &str, error: &io::Error) -> Fault {
    fault::FORWARDING_FAILED
        .cannot("write", control, error)
        .hint("make /proc/sys writable, or set DIND_NET_FIREWALL=iptables")
}

/// Switches forwarding off where nobody has used it since.
///
/// # Errors
/// [`fault::RULES_FAILED`].
pub(crate) fn disable() -> Result<Applied<Context>, Fault> {
    let done = switch_off().map_err(|error| {
        fault::RULES_FAILED
            .failed(format!("cannot undo {FORWARDING}"), error)
            .hint("make /proc/sys writable, and run `dind-net release` again")
    })?;
    Ok(if done { Applied::Done(Undo::Keep) } else { Applied::Skipped })
}

/// Whether it was ours and unused: the rules of an engine are in that chain. Kernels before 5.9 keep no comment on a chain:
/// there it is not known to be ours, and stays.
fn switch_off() -> io::Result<bool> {
    if look()?.forward != ForwardChain::OursUnused {
        return Ok(false);
    }
    // Before the chain goes: without its policy everything would be forwarded.
    fs::write(IP_FORWARD, "0")?;
    change(remove).map(|changed| changed.happened())
}
