//! What holds for all inputs, in both families: the calculator is plain arithmetic, and automatic ranges never meet.

#![allow(clippy::unwrap_used)]

use dind_net::plan::family::Family;
use dind_net::plan::range::{Question, compute};
use dind_net::values::Offset;
use ipnet::{Ipv4Net, Ipv6Net};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use std::collections::BTreeSet;

/// Where link-local addresses of IPv6 begin, fe80::/10.
const LINK_LOCAL: u128 = 0xfe80 << 112;

/// The rules of the README in integers: the range, or the codes of all causes against it. Prefix and size leave so many bits that
/// the number of addresses fits into 128 of them.
fn arithmetic(
    bits: u32,
    own: u128,
    prefix: u32,
    gateway: u128,
    offset: u128,
    size: u32,
) -> Result<(u128, u128), Vec<&'static str>> {
    let v4 = bits == 32;
    let subnet = 1_u128 << (bits - prefix);
    let first = own / subnet * subnet;
    let last = first + (subnet - 1);
    let block = 1_u128 << (bits - size);
    let sum = own.checked_add(offset).filter(|sum| *sum <= last);
    let start = sum.map(|sum| sum / block * block);
    let holds = |address: u128| start.is_some_and(|start| address >= start && address - start < block);
    let link_local = LINK_LOCAL..0xfec0_u128 << 112;
    let outside = !(first..=last).contains(&gateway) && (v4 || !link_local.contains(&gateway));
    let reserved = v4 && prefix < 31 && (gateway == first || gateway == last);
    let reasons = [
        (sum.is_none(), "range-wraps"),
        (size <= prefix, "range-outside-subnet"),
        (size > bits - 2, "range-too-small"),
        (holds(gateway), "range-holds-gateway"),
        (holds(own), "range-holds-self"),
        (holds(first), "range-holds-network"),
        (v4 && holds(last), "range-holds-broadcast"),
        (gateway == own || outside || reserved, "gateway-unusable"),
    ];
    let held: Vec<_> = reasons.into_iter().filter_map(|(holds, code)| holds.then_some(code)).collect();
    match start {
        Some(start) if held.is_empty() => Ok((start, start + (block - 1))),
        _ => Err(held),
    }
}

fn ask<N: Family>(own: u128, prefix: u8, gateway: u128, offset: Offset<N::Address>, size: u8) -> Question<N> {
    let address = N::net(N::address(own), prefix).unwrap();
    Question { address, gateway: N::address(gateway), offset, size }
}

fn agrees<N: Family>(
    own: u128,
    prefix: u8,
    gateway: u128,
    offset: u128,
    size: u8,
) -> Result<(), TestCaseError> {
    let found = compute(&ask::<N>(own, prefix, gateway, Offset::By(N::address(offset)), size));
    let expected = arithmetic(N::BITS.into(), own, prefix.into(), gateway, offset, size.into());
    match (found, expected) {
        (Ok(range), Ok((first, last))) => {
            prop_assert_eq!(range.net, N::net(N::address(first), size).unwrap());
            prop_assert!(
                range.net.holds(N::address(last)) && !range.net.holds(N::address(last.wrapping_add(1)))
            );
            prop_assert_eq!(range.offset, N::address(offset));
        }
        (Err(fault), Err(reasons)) => {
            prop_assert_eq!(fault.code.name, reasons[0]);
            prop_assert_eq!(fault.causes, reasons);
        }
        (found, expected) => prop_assert!(false, "{found:?} is not {expected:?}"),
    }
    Ok(())
}

/// The ranges of all these nodes of one subnet are distinct, and none holds a node.
fn never_meet<N: Family>(
    own: BTreeSet<u128>,
    prefix: u8,
    gateway: u128,
    size: u8,
) -> Result<(), TestCaseError> {
    let mut ranges = BTreeSet::new();
    let mut nodes = Vec::new();
    for own in own {
        match compute(&ask::<N>(own, prefix, gateway, Offset::Auto, size)) {
            Ok(range) => {
                prop_assert!(ranges.insert(N::number(range.net.own())), "{} twice", range.net);
                nodes.push((own, range.net));
            }
            // The gateway's own number, and numbers past the room that there is.
            Err(fault) => prop_assert!(
                ["offset-auto-no-room", "gateway-unusable"].contains(&fault.code.name),
                "{fault:?}"
            ),
        }
    }
    for (own, _) in &nodes {
        prop_assert!(nodes.iter().all(|(_, range)| !range.holds(N::address(*own))));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_calculator_is_plain_arithmetic_in_ipv4(
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
        agrees::<Ipv4Net>(own.into(), prefix, gateway.into(), (offset >> shift).into(), size)?;
    }

    #[test]
    fn the_calculator_is_plain_arithmetic_in_ipv6(
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
            1 | 2 => LINK_LOCAL | u128::from(gateway as u64),
            _ => own & !host | gateway & host,
        };
        agrees::<Ipv6Net>(own, prefix, gateway, offset >> shift, size)?;
    }

    #[test]
    fn automatic_ranges_never_meet_in_ipv4(
        base: u32,
        prefix in 8_u8..=28,
        longer in 1_u8..=22,
        hosts in prop::collection::vec(any::<u32>(), 2..32),
    ) {
        let host = u32::MAX >> prefix;
        let own = hosts.iter().map(|bits| (base & !host | bits & host >> (bits >> 27)).into()).collect();
        never_meet::<Ipv4Net>(own, prefix, (base & !host | 1).into(), (prefix + longer).min(30))?;
    }

    #[test]
    fn automatic_ranges_never_meet_in_ipv6(
        base: u128,
        prefix in 32_u8..=124,
        longer in 1_u8..=64,
        hosts in prop::collection::vec(any::<u128>(), 2..32),
        small in 0_u32..96,
    ) {
        let host = u128::MAX >> prefix;
        // Numbers of all lengths: engines number from 2, or by MAC address.
        let own = hosts.iter().map(|bits| base & !host | bits & host & (u128::MAX >> small)).collect();
        never_meet::<Ipv6Net>(own, prefix, LINK_LOCAL | 1, (prefix + longer).min(126))?;
    }
}
