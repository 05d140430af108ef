//! How each step is made, and how it is undone.

use crate::apply::context::Context;
use crate::apply::{accept_ra, forwarding, iptables_links, modules, rules, uplink};
use crate::plan::step::Step;
use dind_contract::Fault;
use dind_contract::step::{Applied, Apply, Undo};

impl Apply for Step {
    type Context = Context;

    fn apply(&self, context: &mut Context) -> Result<Applied<Context>, Fault> {
        match self {
            Self::LoadModules => Ok(modules::load()),
            Self::LinkIptables { links, .. } => iptables_links::make(links),
            Self::UnlinkIptables { directory } => iptables_links::remove(directory),
            Self::MakeRules { rules, found, .. } => rules::make(context, rules, found.as_ref()),
            Self::RemoveRules { found } => rules::remove(context, found),
            Self::EnableForwarding => Ok(forwarding::enable(context)),
            Self::DisableForwarding => forwarding::disable(),
            Self::SwitchForwardingOn { controls } => forwarding::switch_on(controls),
            Self::SwitchForwardingOff { controls } => forwarding::switch_closed_off(controls),
            Self::AcceptRa { record } => accept_ra::set(context, record),
            Self::RestoreRa { record } => accept_ra::restore(context, record),
            Self::WriteJournal { original, .. } => uplink::save(context, original),
            Self::RemoveJournal { .. } => {
                context.state.remove_journal()?;
                Ok(Applied::Done(Undo::Keep))
            }
            Self::Change(change) => uplink::make(context, change),
            Self::BridgeUplink { .. } => Ok(Applied::Skipped),
        }
    }
}
