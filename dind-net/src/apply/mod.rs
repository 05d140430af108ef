//! Act: the only place that changes the machine.

use crate::facts::Facts;
use crate::fault;
use crate::forward;
use crate::journal::{self, Folder};
use crate::links;
use crate::modules;
use crate::nft::{self, Changed};
use crate::options::{Backend, Options};
use crate::plan::{Plan, links_name};
use crate::report::{Mode, Network};
use crate::rights;
use crate::rtnl::Netlink;
use crate::rules::{self, Record, Refused};
use crate::uplink;
use dind_contract::{Draft, Failed, Fault, Outcome, Root, State, Steps};
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
    if let Err(fault) = act(&mut plan, &facts, options, &folder, &mut steps) {
        take_back(&plan, &facts, &folder, &mut steps);
        return Err(Failed { fault: Box::new(fault), steps });
    }
    Ok(Draft { result: plan.network, engine: plan.engine, steps, warnings: plan.warnings })
}

fn act(
    plan: &mut Plan,
    facts: &Facts,
    options: &Options,
    folder: &Folder,
    steps: &mut Steps,
) -> Result<(), Fault> {
    let modules = modules::missing(&Root::default(), plan.network.iptables.as_ref());
    if !modules.is_empty() && modules::load(modules) {
        steps.push(modules::OP, modules.join(" "), State::Done);
    }
    if let Some(links) = &plan.links {
        links::make(links, steps)?;
    }
    make_rules(plan, facts, options, folder, steps)?;
    if plan.forward {
        forward::enable(steps);
    }
    if let Some(bridged) = &plan.bridged {
        uplink::bridge(bridged, facts, options, folder, steps, &mut plan.warnings)?;
    }
    Ok(())
}

fn make_rules(
    plan: &mut Plan,
    facts: &Facts,
    options: &Options,
    folder: &Folder,
    steps: &mut Steps,
) -> Result<(), Fault> {
    let found = facts.rules.as_ref();
    if !plan.rules.is_empty() {
        match rules::make(folder, found, &plan.rules, steps) {
            Ok(()) => return Ok(()),
            Err(Refused::Failed(fault)) => return Err(*fault),
            Err(Refused::Unsupported(error)) => plan.give_up_rules(facts, options, &error.to_string()),
        }
    }
    if let Some(record) = found {
        drop(remove_rules(folder, record, steps)?);
    }
    Ok(())
}

fn remove_rules(folder: &Folder, record: &Record, steps: &mut Steps) -> Result<Changed, Fault> {
    let changed = rules::remove(folder, record).map_err(|error| {
        fault::RULES_FAILED
            .cannot("remove", rules::target(&record.rules), error)
            .hint("run `dind-net release`")
    })?;
    steps.push(rules::UNDO, rules::target(&record.rules), State::Done);
    Ok(changed)
}

/// What came before the step that failed. What cannot be taken back stays `done` in the list.
fn take_back(plan: &Plan, facts: &Facts, folder: &Folder, steps: &mut Steps) {
    for step in steps.0.iter_mut().filter(|step| step.state == State::Done) {
        let undone = match step.op.as_str() {
            links::OP => plan.links.as_ref().is_some_and(|links| links::remove(&links.folder).is_ok()),
            rules::OP | rules::UNDO => match (rules::read(&Root::default(), folder.path()), &facts.rules) {
                (Ok(Some(made)), found) => rules::restore(folder, found.as_ref(), &made).is_ok(),
                (_, Some(found)) => rules::restore(folder, Some(found), found).is_ok(),
                _ => false,
            },
            forward::OP => forward::disable().is_ok_and(|done| done),
            _ => false,
        };
        if undone {
            step.state = State::Undone;
        }
    }
}

/// Gives back what an apply took, and succeeds when there is nothing left.
///
/// # Errors
/// [`fault::NETLINK_FAILED`], [`fault::RULES_FAILED`], [`fault::LINKS_FAILED`], those of [`rights::check`] and of the journal.
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
    let journal = journal::read(&Root::default(), state)?;
    // The kernel frees the rules while the uplink goes back.
    let _freed = match rules::read(&Root::default(), state)? {
        Some(record) if nft::look().own => {
            rights::check(false)?;
            Some(remove_rules(folder, &record, steps)?)
        }
        // Of a former life: the rules went with their namespace.
        _ => None,
    };
    folder.remove(rules::RECORD).map_err(|error| {
        fault::RULES_FAILED
            .cannot("remove", folder.join(rules::RECORD).display(), error)
            .hint("remove it by hand")
    })?;
    if let Some(journal) = journal {
        let netlink = Netlink::open().map_err(fault::unlistable)?;
        let net = netlink.read().map_err(fault::unlistable)?;
        if journal.is_live(&net) {
            rights::check(false)?;
            uplink::make(&netlink, &journal.bridging.back(&net, &journal.before), steps)?;
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
    // At last: the way out does not depend on it.
    let disabled = forward::disable().map_err(|error| {
        fault::RULES_FAILED
            .cannot("undo", forward::TARGET, error)
            .hint("make /proc/sys writable, and run `dind-net release` again")
    })?;
    if disabled {
        steps.push(forward::UNDO, forward::TARGET, State::Done);
    }
    Ok(())
}
