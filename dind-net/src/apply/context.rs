//! What the steps of one run share.

use crate::apply::state_dir::StateDir;
use crate::fault;
use crate::firewall::transaction::Changed;
use crate::netlink::route::Netlink;
use dind_contract::Fault;

/// What the steps of one run share.
#[derive(Debug)]
pub struct Context {
    /// The state directory, which is locked.
    pub(crate) state: StateDir,
    /// Changes of the uplink are not undone: a run before this one has begun them, or a release makes them.
    pub(crate) finishing: bool,
    /// Why the kernel refused the firewall rules.
    pub(crate) rules_refused: Option<String>,
    /// Which link could not be restored, and why.
    pub(crate) undo_failed: Option<(String, Fault)>,
    /// Removed rules, which the kernel frees while other work is done.
    pub(crate) freeing: Vec<Changed>,
    netlink: Option<Netlink>,
}

impl Context {
    pub(crate) fn new(state: StateDir, finishing: bool) -> Self {
        Self { state, finishing, rules_refused: None, undo_failed: None, freeing: Vec::new(), netlink: None }
    }

    /// The conversation about links, addresses and routes.
    ///
    /// # Errors
    /// [`fault::NETLINK_FAILED`].
    pub(crate) fn netlink(&mut self) -> Result<&Netlink, Fault> {
        if self.netlink.is_none() {
            self.netlink = Some(Netlink::open().map_err(fault::unlistable)?);
        }
        self.netlink.as_ref().ok_or_else(|| fault::unlistable("it is closed"))
    }

    /// Another conversation: a failure may have been that of the one before.
    ///
    /// # Errors
    /// [`fault::NETLINK_FAILED`].
    pub(crate) fn new_netlink(&mut self) -> Result<&Netlink, Fault> {
        self.netlink = None;
        self.netlink()
    }

    /// The fault of a run that failed, after everything was undone as far as it could be.
    pub(crate) fn why_not_undone(&mut self, fault: Fault) -> Fault {
        match self.undo_failed.take() {
            None => fault,
            Some((link, second)) => {
                fault::UNDO_FAILED.cannot("restore", link, second).cause(fault).hint("run `dind-net release`")
            }
        }
    }
}
