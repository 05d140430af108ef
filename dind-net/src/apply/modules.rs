//! Kernel modules, asked for without /lib/modules and without a program.
//!
//! A question for the number of a link that does not exist makes the kernel itself run modprobe, on the machine's own
//! root, for a module of that name (`dev_load` of net/core/dev_ioctl.c; it takes `CAP_SYS_MODULE`). `ip link show NAME`
//! in docker:dind's modprobe does the same. nf_tables needs no asking: see [`crate::netlink::nftables::socket`].

use crate::apply::context::Context;
use crate::facts::iptables::legacy_loaded;
use crate::plan::iptables::LEGACY_MODULES;
use dind_contract::step::{Applied, Undo};
use dind_system::Root;

/// Asks for the modules of ip_tables. Skipped where the machine does not load them; loaded ones stay.
pub(crate) fn load() -> Applied<Context> {
    for module in LEGACY_MODULES {
        // The answer is that there is no such link; what counts is the question.
        let _ = nix::net::if_::if_nametoindex(module);
    }
    if legacy_loaded(&Root::default()) { Applied::Done(Undo::Keep) } else { Applied::Skipped }
}
