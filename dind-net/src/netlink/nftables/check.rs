//! What the kernel would do: a transaction without an end, which it checks, answers and forgets, as for `nft --check`.

use crate::netlink::nftables::batch::{BATCH_BEGIN, NEWCHAIN, NEWRULE, NEWSET, NEWTABLE};
use crate::netlink::nftables::expr::{local_source_counted, masquerade};
use crate::netlink::nftables::message::{SUBSYSTEM, encode, nested, number, text};
use crate::netlink::nftables::socket::Conversation;
use nix::libc::{EAFNOSUPPORT, ENOENT, EOPNOTSUPP, EPROTONOSUPPORT};
use nix::libc::{NF_INET_POST_ROUTING, NFPROTO_IPV4, NFPROTO_IPV6, NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE};
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
    ask(&bytes.concat(), 2)
}

/// Whether nf_tables has what the rules of an engine are made of that writes them itself (moby,
/// daemon/libnetwork/drivers/bridge/internal/nftabler): NAT, kinds of addresses, counters, and maps from a link to a chain.
///
/// # Errors
/// See above.
pub fn engine_rules() -> io::Result<()> {
    let hook = [number(1, NF_INET_POST_ROUTING as u32), number(2, 100)].concat();
    let chain = [text(1, TABLE), text(3, "nat"), nested(4, &hook), text(7, "nat")].concat();
    let expressions = [local_source_counted(), masquerade()].concat();
    let rule = [text(1, TABLE), text(2, "nat"), nested(4, &expressions)].concat();
    // NFT_SET_MAP; keys of 16 bytes, which are names of links; values that are verdicts.
    let (flags, link, verdict) = (number(3, 0x8), [number(4, 41), number(5, 16)].concat(), 0xffff_ff00);
    let map = [text(1, TABLE), text(2, "links"), flags, link, number(6, verdict), number(10, 1)].concat();
    let family = NFPROTO_IPV4 as u8;
    let bytes = [
        encode(BATCH_BEGIN, 0, 0, 0, SUBSYSTEM, &[]),
        encode(NEWTABLE, NLM_F_CREATE, 1, family, 0, &text(1, TABLE)),
        encode(NEWCHAIN, NLM_F_CREATE, 2, family, 0, &chain),
        encode(NEWRULE, NLM_F_CREATE | NLM_F_APPEND, 3, family, 0, &rule),
        encode(NEWSET, NLM_F_CREATE | NLM_F_ACK, 4, family, 0, &map),
    ];
    ask(&bytes.concat(), 4)
}

fn ask(bytes: &[u8], last: u32) -> io::Result<()> {
    match Conversation::open().and_then(|conversation| conversation.send(bytes, last)) {
        Err(error)
            if matches!(error.raw_os_error(), Some(EAFNOSUPPORT | ENOENT | EOPNOTSUPP | EPROTONOSUPPORT)) =>
        {
            Err(error)
        }
        _ => Ok(()),
    }
}
