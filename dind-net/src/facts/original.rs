//! What the uplink had before the first change: the file that a later run finishes, or restores from.

use crate::fault;
use crate::json_file;
use crate::netlink::net::Net;
use dind_contract::Fault;
use dind_system::Root;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The file's name in the state directory.
pub const FILE: &str = "net.json";

/// The bridge, and whose place it takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bridging {
    /// The bridge's name.
    pub bridge: String,
    /// The link that joins it.
    pub uplink: String,
    /// The uplink's hardware address, and the bridge's.
    pub mac: String,
    /// The bridge's MTU in bytes.
    pub mtu: u32,
}

/// The file's content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Original {
    /// What is being bridged.
    pub bridging: Bridging,
    /// The uplink's number, by which a new namespace is distinguished from the old one.
    pub uplink_index: u32,
    /// The uplink and all that was on it.
    pub before: Net,
}

impl Original {
    /// Reads the file below `root`; nothing where there is none.
    ///
    /// # Errors
    /// [`fault::READ_FAILED`], also for one that cannot be understood: it may hold the only copy of the routes.
    pub fn read(root: &Root, state: &Path) -> Result<Option<Self>, Fault> {
        let path = state.join(FILE);
        json_file::read(root, &path)?.transpose().map_err(|error| {
            fault::READ_FAILED
                .cannot("read", path.display(), error)
                .hint("remove the file if this container was started anew; its network is as Docker made it")
        })
    }

    /// Whether it describes this network namespace as it is now.
    ///
    /// The bridge is the first thing made and the last one removed, so without it there is nothing to finish. A
    /// container that starts again keeps its files but gets a new namespace: no bridge, or another uplink.
    #[must_use]
    pub fn is_live(&self, net: &Net) -> bool {
        net.link(&self.bridging.bridge).is_some()
            && net.link(&self.bridging.uplink).is_some_and(|link| {
                link.index == self.uplink_index && link.mac.as_deref() == Some(&self.bridging.mac)
            })
    }
}
