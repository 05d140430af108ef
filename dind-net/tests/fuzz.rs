//! The bodies of the fuzz targets, for a few seconds and with any compiler: no bytes are a panic.

#![allow(clippy::unwrap_used)]

#[path = "../fuzz/bodies.rs"]
mod bodies;

use proptest::prelude::*;

/// Type of a message with a route (linux/rtnetlink.h, `RTM_NEWROUTE`).
const NEW_ROUTE: u16 = 24;
/// Types of messages of nf_tables: a table, a chain, a rule, a generation (linux/netfilter/nf_tables.h).
const NEW: [u16; 4] = [0x0a00, 0x0a03, 0x0a06, 0x0a0f];
/// Types of messages that end an answer (linux/netlink.h).
const ENDS: [u16; 2] = [2, 3];

/// A message of netlink whose header is right, so that the rest is looked at.
fn message(kind: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(16 + body.len()).unwrap().to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend([0; 10]);
    bytes.extend(body);
    bytes
}

/// Attributes whose lengths are right, mostly.
fn attributes() -> impl Strategy<Value = Vec<u8>> {
    let attribute = (any::<bool>(), 0_u16..16, prop::collection::vec(any::<u8>(), 0..24));
    prop::collection::vec(attribute, 0..8).prop_map(|attributes| {
        let mut bytes = vec![2, 0, 0, 0];
        for (longer, kind, value) in attributes {
            let length = u16::try_from(4 + value.len()).unwrap() + u16::from(longer);
            bytes.extend(length.to_ne_bytes());
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(&value);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_is_a_panic(
        text in "\\PC*",
        other in "[0-9a-fA-F:. /\\n-]*",
        lines in "((nameserver|options|search|#)?[ \\t]*[0-9a-f.:%n]*\\n)*",
    ) {
        for text in [text, other, lines] {
            bodies::parsers(text.as_bytes());
        }
    }

    #[test]
    fn no_message_of_routes_is_a_panic(body in prop::collection::vec(any::<u8>(), 0..256), framed in prop::bool::weighted(0.9)) {
        bodies::parsers(&if framed { message(NEW_ROUTE, &body) } else { body });
    }

    #[test]
    fn no_answer_of_nf_tables_is_a_panic(
        messages in prop::collection::vec((0_usize..6, attributes()), 0..4),
        noise in prop::collection::vec(any::<u8>(), 0..64),
        cut in 0_usize..64,
    ) {
        let kind = |index: usize| NEW.iter().chain(&ENDS).copied().nth(index).unwrap();
        let framed = messages.iter().map(|(index, body)| message(kind(*index), body));
        let mut bytes = framed.collect::<Vec<_>>().concat();
        bytes.extend(&noise);
        bytes.truncate(bytes.len().saturating_sub(cut));
        bodies::nftables(&bytes);
        bodies::nftables(&noise);
    }
}
