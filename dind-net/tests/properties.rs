//! What holds for all inputs: the calculator is plain arithmetic, and automatic ranges never meet.

#![allow(clippy::unwrap_used)]

use dind_net::options::Offset;
use dind_net::plan::range::{Question, compute};
use ipnet::Ipv4Net;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;

/// The rules of the README in 64-bit integers: the range, or the codes of all causes against it.
fn arithmetic(
    own: u64,
    prefix: u32,
    gateway: u64,
    offset: u64,
    size: u32,
) -> Result<(u64, u64), Vec<&'static str>> {
    let subnet = 1_u64 << (32 - prefix);
    let (first, last) = (own / subnet * subnet, own / subnet * subnet + subnet - 1);
    let block = 1_u64 << (32 - size);
    let start = (own + offset) / block * block;
    let holds = |address: u64| own + offset <= last && (start..start + block).contains(&address);
    let reasons = [
        (own + offset > last, "range-wraps"),
        (size <= prefix, "range-outside-subnet"),
        (size > 30, "range-too-small"),
        (holds(gateway), "range-holds-gateway"),
        (holds(own), "range-holds-self"),
        (holds(first), "range-holds-network"),
        (holds(last), "range-holds-broadcast"),
        (
            !(first..=last).contains(&gateway)
                || gateway == own
                || prefix < 31 && (gateway == first || gateway == last),
            "gateway-unusable",
        ),
    ];
    let held: Vec<_> = reasons.into_iter().filter_map(|(holds, code)| holds.then_some(code)).collect();
    if held.is_empty() { Ok((start, start + block - 1)) } else { Err(held) }
}

fn ask(own: u32, prefix: u8, gateway: u32, offset: Offset, size: u8) -> Question {
    Question { address: Ipv4Net::new(own.into(), prefix).unwrap(), gateway: gateway.into(), offset, size }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_calculator_is_plain_arithmetic(
        own: u32,
        prefix in 0_u8..=32,
        // Mostly near the own address, where the limits are.
        near in prop::bool::weighted(0.8),
        gateway: u32,
        offset: u32,
        shift in 0_u32..32,
        size in 0_u8..=32,
    ) {
        let host = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
        let gateway = if near { own & !host | gateway & host } else { gateway };
        let offset = offset >> shift;
        let found = compute(&ask(own, prefix, gateway, Offset::By(offset), size));
        let expected = arithmetic(own.into(), prefix.into(), gateway.into(), offset.into(), size.into());
        match (found, expected) {
            (Ok(range), Ok((first, last))) => {
                prop_assert_eq!(u64::from(u32::from(range.net.network())), first);
                prop_assert_eq!(u64::from(u32::from(range.net.broadcast())), last);
                prop_assert_eq!(range.offset, offset);
            }
            (Err(fault), Err(reasons)) => {
                prop_assert_eq!(fault.code.name, reasons[0]);
                prop_assert_eq!(fault.causes, reasons);
            }
            (found, expected) => prop_assert!(false, "{found:?} is not {expected:?}"),
        }
    }

    #[test]
    fn automatic_ranges_never_meet(base: u32, prefix in 8_u8..=28, longer in 1_u8..=22, hosts in prop::collection::vec(any::<u32>(), 2..32)) {
        let size = (prefix + longer).min(30);
        let host = u32::MAX >> prefix;
        let gateway = base & !host | 1;
        let mut ranges = BTreeSet::new();
        let own: BTreeSet<u32> = hosts.iter().map(|bits| base & !host | bits & host >> (bits >> 27)).collect();
        let mut nodes = Vec::new();
        for own in own {
            match compute(&ask(own, prefix, gateway, Offset::Auto, size)) {
                Ok(range) => {
                    prop_assert!(ranges.insert(range.net.network()), "{} twice", range.net);
                    nodes.push((own, range.net));
                }
                // The gateway's own number, and numbers past the room that there is.
                Err(fault) => prop_assert!(
                    ["offset-auto-no-room", "gateway-unusable"].contains(&fault.code.name), "{fault:?}"
                ),
            }
        }
        for (own, _) in &nodes {
            prop_assert!(nodes.iter().all(|(_, range)| !range.contains(&Ipv4Addr::from(*own))));
        }
    }
}
