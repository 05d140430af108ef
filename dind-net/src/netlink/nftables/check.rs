//! What the kernel would do: a transaction without an end, which it checks, answers and forgets, as for `nft --check`.

use crate::netlink::nftables::batch::{BATCH_BEGIN, NEWCHAIN, NEWTABLE};
use crate::netlink::nftables::message::{SUBSYSTEM, encode, nested, number, text};
use crate::netlink::nftables::socket::Conversation;
use nix::libc::{EAFNOSUPPORT, ENOENT, EOPNOTSUPP, EPROTONOSUPPORT};
use nix::libc::{NF_INET_POST_ROUTING, NFPROTO_IPV6, NLM_F_ACK, NLM_F_CREATE};
use std::io;

/// The table that is asked about; it is never made.
const TABLE: &str = "dind-check";

/// Whether nf_tables has NAT for IPv6. Where nobody may ask, or the answer does not come, it is taken to have.
///
/// # Errors
/// The kernel's reason: it was built without a part.
pub fn ipv6_nat() -> io::Result<()> {
    // The priority of source NAT (linux/netfilter_ipv6.h).
    let hook = [number(1, NF_INET_POST_ROUTING as u32), number(2, 100)].concat();
    let chain = [text(1, TABLE), text(3, "nat"), nested(4, &hook), text(7, "nat")].concat();
    let bytes = [
        encode(BATCH_BEGIN, 0, 0, 0, SUBSYSTEM, &[]),
        encode(NEWTABLE, NLM_F_CREATE, 1, NFPROTO_IPV6 as u8, 0, &text(1, TABLE)),
        encode(NEWCHAIN, NLM_F_CREATE | NLM_F_ACK, 2, NFPROTO_IPV6 as u8, 0, &chain),
    ];
    match Conversation::open().and_then(|conversation| conversation.send(&bytes.concat(), 2)) {
        Err(error)
            if matches!(error.raw_os_error(), Some(EAFNOSUPPORT | ENOENT | EOPNOTSUPP | EPROTONOSUPPORT)) =>
        {
            Err(error)
        }
        _ => Ok(()),
    }
}
