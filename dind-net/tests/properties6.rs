//! What holds for all inputs of the IPv6 calculator: it is plain arithmetic, and automatic ranges never meet.

#![allow(clippy::unwrap_used)]

use dind_net::plan::range6::{Question, compute};
use dind_net::values::Offset6;
use ipnet::Ipv6Net;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::net::Ipv6Addr;

/// The rules of the README in integers: the range, or the codes of all causes against it. A prefix and a size are 1 at least, so
/// that the number of addresses fits into 128 bits.
fn arithmetic(
    own: u128,
    prefix: u32,
    gateway: u128,
    offset: u128,
    size: u32,
) -> Result<(u128, u128), Vec<&'static str>> {
    let subnet = 1_u128 << (128 - prefix);
    let first = own / subnet * subnet;
    let last = first + (subnet - 1);
    let block = 1_u128 << (128 - size);
    let sum = own.checked_add(offset).filter(|sum| *sum <= last);
    let start = sum.map(|sum| sum / block * block);
    let holds = |address: u128| start.is_some_and(|start| address >= start && address - start < block);
    let link_local = 0xfe80_u128 << 112..0xfec0_u128 << 112;
    let outside = !(first..=last).contains(&gateway) && !link_local.contains(&gateway);
    let reasons = [
        (sum.is_none(), "range-wraps"),
        (size <= prefix, "range-outside-subnet"),
        (size > 126, "range-too-small"),
        (holds(gateway), "range-holds-gateway"),
        (holds(own), "range-holds-self"),
        (holds(first), "range-holds-network"),
        (gateway == own || outside, "gateway-unusable"),
    ];
    let held: Vec<_> = reasons.into_iter().filter_map(|(holds, code)| holds.then_some(code)).collect();
    match start {
        Some(start) if held.is_empty() => Ok((start, start + (block - 1))),
        _ => Err(held),
    }
}

fn ask(own: u128, prefix: u8, gateway: u128, offset: Offset6, size: u8) -> Question {
    Question { address: Ipv6Net::new(own.into(), prefix).unwrap(), gateway: gateway.into(), offset, size }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_calculator_is_plain_arithmetic(
        own: u128,
        prefix in 1_u8..=128,
        // Mostly near the own address, where the limits are; sometimes link-local, as routers are.
        place in 0..10,
        gateway: u128,
        offset: u128,
        shift in 0_u32..128,
        size in 1_u8..=128,
    ) {
        let host = u128::MAX.checked_shr(prefix.into()).unwrap_or(0);
        let gateway = match place {
            0 => gateway,
            1 | 2 => 0xfe80_u128 << 112 | u128::from(gateway as u64),
            _ => own & !host | gateway & host,
        };
        let offset = offset >> shift;
        let found = compute(&ask(own, prefix, gateway, Offset6::By(offset), size));
        let expected = arithmetic(own, prefix.into(), gateway, offset, size.into());
        match (found, expected) {
            (Ok(range), Ok((first, last))) => {
                prop_assert_eq!(u128::from(range.net.network()), first);
                prop_assert_eq!(u128::from(range.net.broadcast()), last);
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
    fn automatic_ranges_never_meet(
        base: u128,
        prefix in 32_u8..=124,
        longer in 1_u8..=64,
        hosts in prop::collection::vec(any::<u128>(), 2..32),
        small in 0_u32..96,
    ) {
        let size = (prefix + longer).min(126);
        let host = u128::MAX >> prefix;
        let gateway = 0xfe80_u128 << 112 | 1;
        let mut ranges = BTreeSet::new();
        // Numbers of all lengths: engines number from 2, or by MAC address.
        let own: BTreeSet<u128> = hosts.iter().map(|bits| base & !host | bits & host & (u128::MAX >> small)).collect();
        let mut nodes = Vec::new();
        for own in own {
            match compute(&ask(own, prefix, gateway, Offset6::Auto, size)) {
                Ok(range) => {
                    prop_assert!(ranges.insert(range.net.network()), "{} twice", range.net);
                    nodes.push((own, range.net));
                }
                Err(fault) => prop_assert!(
                    ["offset-auto-no-room", "gateway-unusable"].contains(&fault.code.name), "{fault:?}"
                ),
            }
        }
        for (own, _) in &nodes {
            prop_assert!(nodes.iter().all(|(_, range)| !range.contains(&Ipv6Addr::from(*own))));
        }
    }
}
