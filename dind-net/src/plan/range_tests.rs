//! The calculator, compared with its contract and with plain 64-bit arithmetic; `tests/properties.rs` compares it in 128 bits.

use super::*;
use ipnet::{Ipv4Net, Ipv6Net};
use std::net::Ipv4Addr;
use std::str::FromStr;

fn parsed<T: FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("{text}"))
}

fn ask<N: Family<Address: FromStr> + FromStr>(
    address: &str,
    gateway: &str,
    offset: &str,
    size: u8,
) -> Result<Range<N>, Fault> {
    let offset = if offset == "auto" { Offset::Auto } else { Offset::By(parsed(offset)) };
    compute(&Question { address: parsed::<N>(address), gateway: parsed(gateway), offset, size })
}

/// Address, gateway, offset, size, and what comes of it.
type Row<'a> = (&'a str, &'a str, &'a str, u8, &'a str);

fn check_ranges<N: Family<Address: FromStr> + FromStr>(rows: &[Row<'_>]) {
    for (address, gateway, offset, size, range) in rows {
        let found = ask::<N>(address, gateway, offset, *size).map(|found| found.net.to_string());
        assert_eq!(found.as_deref(), Ok(*range), "{address} {offset} /{size}");
    }
}

fn check_refusals<N: Family<Address: FromStr> + FromStr>(rows: &[Row<'_>]) {
    for (address, gateway, offset, size, causes) in rows {
        let fault = ask::<N>(address, gateway, offset, *size).unwrap_err();
        assert_eq!(fault.causes.join(" "), *causes, "{address} {offset} /{size}");
        assert_eq!(fault.code.name, fault.causes[0]);
        // A variable of the other family would lead nowhere.
        let mut named = fault.hint.split([' ', ',']).filter(|word| word.starts_with("DOCKER_NETWORK_"));
        assert!(named.all(|word| word.ends_with('6') == (N::BITS == 128)), "{}", fault.hint);
        assert!(!fault.hint.is_empty());
    }
}

#[test]
fn ranges() {
    check_ranges::<Ipv4Net>(&[
        ("172.17.0.5/16", "172.17.0.1", "0.0.1.0", 24, "172.17.1.0/24"),
        // The sum carries from the last octet into the one before.
        ("172.17.0.250/16", "172.17.0.1", "0.0.0.10", 24, "172.17.1.0/24"),
        ("172.17.0.5/16", "172.17.0.1", "0.0.255.0", 30, "172.17.255.4/30"),
        ("10.0.0.2/8", "10.0.0.1", "0.1.0.0", 16, "10.1.0.0/16"),
        ("192.168.1.2/24", "192.168.1.1", "0.0.0.64", 26, "192.168.1.64/26"),
        ("10.1.2.3/0", "10.0.0.1", "0.255.0.0", 24, "11.0.2.0/24"),
    ]);
    check_ranges::<Ipv6Net>(&[
        ("fd77::3/64", "fd77::1", "::100", 120, "fd77::100/120"),
        // The sum carries.
        ("fd77::fffe/64", "fd77::1", "::10", 120, "fd77::1:0/120"),
        ("fd77::3/64", "fe80::1", "::1:0:0", 96, "fd77::1:0:0/96"),
        ("fd77::242:ac11:5/64", "fd77::1", "::100", 120, "fd77::242:ac11:100/120"),
        ("fd77::3/112", "fd77::1", "::fff0", 126, "fd77::fff0/126"),
        // There is no broadcast address.
        ("fd77::3/112", "fd77::1", "::fffc", 126, "fd77::fffc/126"),
    ]);
}

#[test]
fn refusals_name_all_causes_in_order() {
    check_refusals::<Ipv4Net>(&[
        (
            "172.17.0.5/16",
            "172.17.0.1",
            "0.0.0.0",
            24,
            "range-holds-gateway range-holds-self range-holds-network",
        ),
        ("172.17.0.5/16", "172.17.0.1", "0.0.255.0", 24, "range-holds-broadcast"),
        ("172.17.0.5/16", "172.17.0.1", "0.1.0.0", 24, "range-wraps"),
        ("172.17.0.5/16", "172.17.0.1", "255.255.255.255", 32, "range-wraps range-too-small"),
        (
            "172.17.0.5/16",
            "172.17.0.1",
            "0.0.1.0",
            16,
            "range-outside-subnet range-holds-gateway range-holds-self range-holds-network range-holds-broadcast",
        ),
        ("172.17.0.5/16", "172.17.0.1", "0.0.1.0", 31, "range-too-small"),
        ("172.17.0.5/16", "172.17.0.1", "0.0.0.0", 32, "range-too-small range-holds-self"),
        ("172.17.0.5/16", "10.0.0.1", "0.0.1.0", 24, "gateway-unusable"),
        ("172.17.0.5/16", "172.17.0.5", "0.0.1.0", 24, "gateway-unusable"),
        ("172.17.0.5/32", "172.17.0.1", "0.0.1.0", 24, "range-wraps range-outside-subnet gateway-unusable"),
    ]);
    check_refusals::<Ipv6Net>(&[
        ("fd77::5/64", "fd77::1", "::", 120, "range-holds-gateway range-holds-self range-holds-network"),
        ("fd77::5/112", "fd77::1", "::fffb", 120, "range-wraps"),
        ("fd77::5/64", "fd77::1", "ffff::", 128, "range-wraps range-too-small"),
        ("fd77::5/64", "fd77::1", "::100", 127, "range-too-small"),
        (
            "fd77::5/64",
            "fd77::1",
            "::100",
            64,
            "range-outside-subnet range-holds-gateway range-holds-self range-holds-network",
        ),
        ("fd77::5/64", "fd78::1", "::100", 120, "gateway-unusable"),
        ("fd77::5/64", "fd77::5", "::100", 120, "gateway-unusable"),
        ("fd77::5/128", "fe80::1", "::100", 120, "range-wraps range-outside-subnet"),
        ("ffff::5/0", "fd77::1", "1::", 120, "range-wraps"),
    ]);
}

/// xorshift64: a table of numbers that is the same on every run.
fn numbers() -> impl FnMut() -> u64 {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

#[test]
fn the_calculator_agrees_with_plain_arithmetic() {
    let mut next = numbers();
    let (mut good, mut bad) = (0, 0);
    for _ in 0..200_000 {
        let prefix = (next() % 33) as u8;
        let size = (next() % 33) as u8;
        let address = next() & 0xffff_ffff;
        let block = 1u64 << (32 - prefix);
        let start = address / block * block;
        let gateway = start + next() % block;
        // Mostly offsets that can fit, or the table would be one of refusals.
        let offset = if next().is_multiple_of(4) { next() & 0xffff_ffff } else { next() % block };
        let sum = address + offset;
        let step = 1u64 << (32 - size);
        let first = sum / step * step;
        let holds = |wanted: u64| first <= wanted && wanted < first + step;
        let end = start + block - 1;
        let fits = sum <= end
            && size > prefix
            && size <= 30
            && ![gateway, address, start, end].into_iter().any(holds)
            && gateway != address
            && (prefix >= 31 || (gateway != start && gateway != end));
        let v4 = |number: u64| Ipv4Addr::from(u32::try_from(number).unwrap());
        let answer = compute(&Question {
            address: Ipv4Net::new(v4(address), prefix).unwrap(),
            gateway: v4(gateway),
            offset: Offset::By(v4(offset)),
            size,
        });
        let want = fits.then(|| Ipv4Net::new(v4(first), size).unwrap());
        assert_eq!(answer.ok().map(|range| range.net), want, "{}/{prefix} + {offset} /{size}", v4(address));
        if fits { good += 1 } else { bad += 1 }
    }
    assert!(good > 10_000 && bad > 10_000, "the table is one-sided: {good} good, {bad} bad");
}

#[test]
fn automatic_ranges_are_distinct_and_hold_no_node() {
    for (subnet, size, room) in [
        ("172.17.0.0/16", 24, 254),
        ("172.17.0.0/16", 26, 1007),
        ("10.0.0.0/20", 24, 14),
        ("192.168.7.0/24", 28, 14),
        ("192.168.7.0/24", 30, 50),
        ("10.0.0.0/24", 25, 0),
    ] {
        let subnet: Ipv4Net = subnet.parse().unwrap();
        let mut ranges = Vec::new();
        let mut nodes = Vec::new();
        for address in subnet.hosts() {
            let address = Ipv4Net::new(address, subnet.prefix_len()).unwrap();
            let question = Question { address, gateway: subnet.network(), offset: Offset::Auto, size };
            let Ok(offset) = automatic(&question) else { continue };
            ranges.push(place(address, offset, size).unwrap());
            nodes.push(address.addr());
        }
        assert_eq!(nodes.len(), room, "{subnet} /{size}");
        let all = ranges.len();
        ranges.sort();
        ranges.dedup();
        assert_eq!(ranges.len(), all, "{subnet} /{size}: two nodes share a range");
        for range in &ranges {
            assert!(subnet.contains(range) && !range.contains(&subnet.broadcast()), "{range}");
            assert!(!nodes.iter().any(|node| range.contains(node)), "{range} holds a node of {subnet}");
        }
    }
}

#[test]
fn automatic_without_room_reports_the_numbers() {
    let fault = ask::<Ipv4Net>("10.0.0.20/20", "10.0.0.1", "auto", 24).unwrap_err();
    assert_eq!(fault.code, fault::OFFSET_AUTO_NO_ROOM);
    assert!(fault.message.contains("1 to 14") && fault.message.contains("number 20"), "{}", fault.message);
    let fault = ask::<Ipv4Net>("10.0.0.20/20", "10.0.0.1", "auto", 32).unwrap_err();
    assert_eq!(fault.code, fault::RANGE_TOO_SMALL);
}

#[test]
fn automatic_ranges_of_ipv6() {
    check_ranges::<Ipv6Net>(&[
        // A subnet as large as an IPv4 one has the same ranges.
        ("fd77::5/112", "fe80::1", "auto", 120, "fd77::500/120"),
        ("fd77::3/64", "fe80::1", "auto", 120, "fd77::ff:ff:ff:300/120"),
        ("fd77::242:ac11:5/64", "fe80::1", "auto", 120, "fd77::101:43ab:11ff:500/120"),
    ]);
    for address in ["fd77::/64", "fd77::ffff:0:0:0/64", "fd77::5/0"] {
        let fault = ask::<Ipv6Net>(address, "fe80::1", "auto", 120).unwrap_err();
        assert_eq!(fault.code, fault::OFFSET_AUTO_NO_ROOM, "{address}");
    }
}
