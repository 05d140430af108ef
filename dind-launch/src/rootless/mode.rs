//! The variable that asks for such a node.

use crate::fault;
use dind_contract::Fault;
use dind_contract::cli::given;
use dind_system::Root;

/// What the launcher keeps outside of the node. It is the container's root's, so that nothing of the node gets in the way of a start.
pub(super) const OWN: &str = "/.dind";

/// The flag of a launcher that is in the node already; nobody else gives it.
pub(super) const UNSHARED: &str = "--unshared";

/// Where a node's user namespace comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// From the engine outside, if it maps users.
    Keep,
    /// From the launcher.
    Unshare,
}

/// Reads `DIND_USERNS`.
///
/// # Errors
/// [`fault::USERNS_INVALID`].
pub fn mode(text: Option<&String>) -> Result<Mode, Fault> {
    match given(text) {
        None | Some("keep") => Ok(Mode::Keep),
        Some("unshare") => Ok(Mode::Unshare),
        Some(other) => {
            let fault = fault::USERNS_INVALID.invalid("DIND_USERNS", other, "expected `keep` or `unshare`");
            Err(fault.hint("set DIND_USERNS=unshare for a node without added capabilities, or unset it"))
        }
    }
}

/// Whether the launcher that is the first process here has made these namespaces. In the node, its flag says so.
#[must_use]
pub fn is_inside(root: &Root) -> bool {
    let words = root.read("/proc/1/cmdline").unwrap_or_default();
    words.split('\0').any(|word| word == UNSHARED)
}
