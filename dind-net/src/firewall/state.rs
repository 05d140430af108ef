//! The file that remembers which rules we made: what a later run compares with, and takes away.

use crate::firewall::rules::Rules;
use crate::json_file;
use dind_contract::Fault;
use dind_system::Root;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The file's name in the state directory.
pub const FILE: &str = "net-rules.json";
/// Lets packets from other links reach 127.0.0.0/8 (kernel, ip-sysctl), which [`crate::firewall::dns`] needs.
pub const ROUTE_LOCALNET: &str = "/proc/sys/net/ipv4/conf/all/route_localnet";

/// What was put in place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The rules.
    pub rules: Rules,
    /// Whether `route_localnet` was off before.
    pub route_localnet_was_off: bool,
}

impl Record {
    /// Reads the file below `root`; nothing where there is none.
    ///
    /// # Errors
    /// [`crate::fault::READ_FAILED`] when it cannot be read. One that cannot be understood counts as none: the rules are made anew.
    pub fn read(root: &Root, state: &Path) -> Result<Option<Self>, Fault> {
        Ok(json_file::read(root, state.join(FILE))?.and_then(Result::ok))
    }
}

/// Whether `route_localnet` is on.
#[must_use]
pub fn route_localnet(root: &Root) -> bool {
    root.read(ROUTE_LOCALNET).is_ok_and(|text| text.trim() == "1")
}
