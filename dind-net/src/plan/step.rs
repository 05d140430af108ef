//! One change of the machine, decided and not yet made.
//!
//! A plan is a list of these. `plan` prints it; `apply` and `release` go through the same list, see [`crate::apply`].

use crate::facts::iptables::Links;
use crate::facts::ipv6::{Record as AcceptRa, control};
use crate::facts::original::Original;
use crate::firewall::rules::Rules;
use crate::firewall::state::Record;
use crate::netlink::change::Change;
use crate::plan::iptables::LEGACY_MODULES;
use std::path::PathBuf;

/// One change of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The machine loads ip_tables.
    LoadModules,
    /// A directory of links makes `iptables` another program.
    LinkIptables {
        /// The directory, and what the links lead to.
        links: Links,
        /// Whether they do already.
        holds: bool,
    },
    /// The directory of links goes.
    UnlinkIptables {
        /// The directory.
        directory: PathBuf,
    },
    /// Our firewall rules come, in place of those that were found.
    MakeRules {
        /// The rules.
        rules: Rules,
        /// What was found.
        found: Option<Record>,
        /// Whether that is the same.
        holds: bool,
    },
    /// Our firewall rules go.
    RemoveRules {
        /// What was found.
        found: Record,
    },
    /// Forwarding is switched on, and drops what no rule accepts.
    EnableForwarding,
    /// Forwarding is switched off again.
    DisableForwarding,
    /// Forwarding is switched on, which our rules close.
    SwitchForwardingOn {
        /// The files below `/proc/sys`.
        controls: Vec<String>,
    },
    /// The same is switched off.
    SwitchForwardingOff {
        /// The files below `/proc/sys`.
        controls: Vec<String>,
    },
    /// Router advertisements are taken although the link will forward.
    AcceptRa {
        /// The link, and what it is set to.
        record: AcceptRa,
    },
    /// Router advertisements are taken as before.
    RestoreRa {
        /// The link, and what it was set to.
        record: AcceptRa,
    },
    /// What the uplink has is saved, before the first change of it.
    WriteJournal {
        /// The file.
        file: PathBuf,
        /// What is saved.
        original: Box<Original>,
    },
    /// What was saved is no longer needed.
    RemoveJournal {
        /// The file.
        file: PathBuf,
    },
    /// A change of links, addresses or routes.
    Change(Change),
    /// Bridged mode, and nothing is left to do.
    BridgeUplink {
        /// The uplink, which is in the bridge.
        uplink: String,
    },
}

/// All ops, in the order of the README's table.
pub const OPS: &[&str] = &[
    "load-modules",
    "link-iptables",
    "unlink-iptables",
    "make-rules",
    "remove-rules",
    "enable-forwarding",
    "disable-forwarding",
    "accept-ra",
    "restore-ra",
    "write-journal",
    "remove-journal",
    "bridge-uplink",
    "create-bridge",
    "remove-bridge",
    "link-up",
    "set-mtu",
    "join-bridge",
    "leave-bridge",
    "add-address",
    "remove-address",
    "announce-addresses",
    "add-neighbour",
    "add-route",
    "replace-route",
    "remove-route",
];

/// What [`Step::EnableForwarding`] and [`Step::DisableForwarding`] change.
pub const FORWARDING: &str = "net.ipv4.ip_forward, policy drop of ip filter FORWARD";

impl dind_contract::step::Step for Step {
    fn op(&self) -> &'static str {
        match self {
            Self::LoadModules => "load-modules",
            Self::LinkIptables { .. } => "link-iptables",
            Self::UnlinkIptables { .. } => "unlink-iptables",
            Self::MakeRules { .. } => "make-rules",
            Self::RemoveRules { .. } => "remove-rules",
            Self::EnableForwarding | Self::SwitchForwardingOn { .. } => "enable-forwarding",
            Self::DisableForwarding | Self::SwitchForwardingOff { .. } => "disable-forwarding",
            Self::AcceptRa { .. } => "accept-ra",
            Self::RestoreRa { .. } => "restore-ra",
            Self::WriteJournal { .. } => "write-journal",
            Self::RemoveJournal { .. } => "remove-journal",
            Self::BridgeUplink { .. } => "bridge-uplink",
            Self::Change(change) => match change {
                Change::CreateBridge { .. } => "create-bridge",
                Change::RemoveBridge { .. } => "remove-bridge",
                Change::Up { .. } => "link-up",
                Change::SetMtu { .. } => "set-mtu",
                Change::Join { .. } => "join-bridge",
                Change::Leave { .. } => "leave-bridge",
                Change::AddAddress(_) => "add-address",
                Change::RemoveAddress(_) => "remove-address",
                Change::Announce { .. } => "announce-addresses",
                Change::AddNeighbour(_) => "add-neighbour",
                Change::AddRoute(_) => "add-route",
                Change::ReplaceRoute(_) => "replace-route",
                Change::RemoveRoute(_) => "remove-route",
            },
        }
    }

    fn target(&self) -> String {
        match self {
            Self::LoadModules => LEGACY_MODULES.join(" "),
            Self::LinkIptables { links, .. } => links.directory.display().to_string(),
            Self::UnlinkIptables { directory } => directory.display().to_string(),
            Self::MakeRules { rules, .. } => rules.to_string(),
            Self::RemoveRules { found } => found.rules.to_string(),
            Self::EnableForwarding | Self::DisableForwarding => FORWARDING.to_owned(),
            Self::SwitchForwardingOn { controls } | Self::SwitchForwardingOff { controls } => names(controls),
            Self::AcceptRa { record } => format!("{} 2", control(&record.link, "accept_ra")),
            Self::RestoreRa { record } => {
                format!("{} {}", control(&record.link, "accept_ra"), record.accept_ra)
            }
            Self::WriteJournal { file, .. } | Self::RemoveJournal { file } => file.display().to_string(),
            Self::Change(change) => change.to_string(),
            Self::BridgeUplink { uplink } => uplink.clone(),
        }
    }

    fn holds(&self) -> bool {
        match self {
            Self::LinkIptables { holds, .. } | Self::MakeRules { holds, .. } => *holds,
            Self::BridgeUplink { .. } => true,
            _ => false,
        }
    }
}

/// As sysctl has them.
fn names(controls: &[String]) -> String {
    let name = |path: &String| path.trim_start_matches("/proc/sys/").replace('/', ".");
    controls.iter().map(name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use dind_contract::step::Step as _;

    #[test]
    fn ops_are_listed_once() {
        let mut sorted = OPS.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), OPS.len());
        let file = PathBuf::from("/run/dind/net.json");
        for step in [
            Step::LoadModules,
            Step::EnableForwarding,
            Step::DisableForwarding,
            Step::SwitchForwardingOn { controls: vec![crate::firewall::forwarding::IP_FORWARD.to_owned()] },
            Step::SwitchForwardingOff { controls: vec![crate::facts::ipv6::control("all", "forwarding")] },
            Step::UnlinkIptables { directory: file.clone() },
            Step::RemoveJournal { file },
            Step::BridgeUplink { uplink: "eth0".to_owned() },
            Step::Change(Change::RemoveBridge { name: "docker0".to_owned() }),
            Step::Change(Change::SetMtu { link: "docker0".to_owned(), mtu: 1400 }),
            Step::Change(Change::Leave { port: "eth0".to_owned(), bridge: "docker0".to_owned() }),
        ] {
            assert!(OPS.contains(&step.op()), "{step:?}");
            assert_ne!(step.target(), "");
        }
    }
}
