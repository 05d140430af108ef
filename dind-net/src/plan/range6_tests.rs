//! The calculator of IPv6, compared with its contract; `tests/properties.rs` compares it with plain arithmetic.

use super::*;

fn ask(address: &str, gateway: &str, offset: Offset6, size: u8) -> Result<Range, Fault> {
    compute(&Question { address: address.parse().unwrap(), gateway: gateway.parse().unwrap(), offset, size })
}

fn by(text: &str) -> Offset6 {
    Offset6::By(text.parse::<Ipv6Addr>().unwrap().into())
}

#[test]
fn ranges() {
    for (address, gateway, offset, size, range) in [
        ("fd77::3/64", "fd77::1", "::100", 120, "fd77::100/120"),
        // The sum carries.
        ("fd77::fffe/64", "fd77::1", "::10", 120, "fd77::1:0/120"),
        ("fd77::3/64", "fe80::1", "::1:0:0", 96, "fd77::1:0:0/96"),
        ("fd77::242:ac11:5/64", "fd77::1", "::100", 120, "fd77::242:ac11:100/120"),
        ("fd77::3/112", "fd77::1", "::fff0", 126, "fd77::fff0/126"),
        ("fd77::3/112", "fd77::1", "::fffc", 126, "fd77::fffc/126"),
    ] {
        let found = ask(address, gateway, by(offset), size).unwrap();
        assert_eq!(found.net.to_string(), range, "{address} {offset}");
    }
}

#[test]
fn refusals_name_all_causes_in_order() {
    for (address, gateway, offset, size, causes) in [
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
    ] {
        let fault = ask(address, gateway, by(offset), size).unwrap_err();
        assert_eq!(fault.causes.join(" "), causes, "{address} {offset} /{size}");
        assert_eq!(fault.code.name, fault.causes[0]);
        assert!(!fault.hint.is_empty());
    }
}

#[test]
fn automatic_ranges() {
    for (address, size, range) in [
        // A subnet as large as an IPv4 one has the same ranges.
        ("fd77::5/112", 120, "fd77::500/120"),
        ("fd77::3/64", 120, "fd77::ff:ff:ff:300/120"),
        ("fd77::242:ac11:5/64", 120, "fd77::101:43ab:11ff:500/120"),
    ] {
        let found = ask(address, "fe80::1", Offset6::Auto, size).map(|found| found.net.to_string());
        assert_eq!(found.as_deref(), Ok(range), "{address}");
    }
    for address in ["fd77::/64", "fd77::ffff:0:0:0/64", "fd77::5/0"] {
        let fault = ask(address, "fe80::1", Offset6::Auto, 120).unwrap_err();
        assert_eq!(fault.code, fault::OFFSET_AUTO_NO_ROOM, "{address}");
    }
}
