//! Values that are accepted, and values that are refused.

use super::*;

fn code(change: impl FnOnce(&mut Texts)) -> String {
    let mut texts = Texts::default();
    change(&mut texts);
    Options::parse(&texts).map_or_else(
        |fault| fault.causes.first().cloned().unwrap_or(fault.code.name.to_owned()),
        |_| "ok".to_owned(),
    )
}

#[test]
fn offsets_and_sizes() {
    for text in [
        "1.2.3",
        "-1",
        "1.2.3.4.5",
        "256.0.0.0",
        "0x1.0.0.0",
        "0.0.1.0/24",
        "::1",
        "Auto",
        "1.2.3.-4",
        "0.0.01.0",
    ] {
        assert_eq!(code(|texts| texts.offset = Some(text.to_owned())), "offset-invalid", "{text}");
    }
    for text in ["33", "-1", "abc", "/24", "+24", "24.0", "256", "1e1", "99999999999999999999"] {
        assert_eq!(code(|texts| texts.size = Some(text.to_owned())), "size-invalid", "{text}");
    }
    for text in ["", "  ", "24", " 24 "] {
        assert_eq!(code(|texts| texts.size = Some(text.to_owned())), "ok", "{text}");
    }
    for text in ["", "0.0.1.0", " auto "] {
        assert_eq!(code(|texts| texts.offset = Some(text.to_owned())), "ok", "{text}");
    }
}

#[test]
fn other_values() {
    type Set = fn(&mut Texts) -> &mut Option<String>;
    let table: [(Set, &str, &[&str], &[&str]); 12] = [
        (|texts| &mut texts.ipv6, "ipv6-invalid", &["auto", "true", "false", ""], &["maybe", "4"]),
        (
            |texts| &mut texts.offset6,
            "offset-invalid",
            &["auto", "::100", "0.0.1.0"],
            &["1::2::3", "-1", "::1/64", "100"],
        ),
        (|texts| &mut texts.size6, "size-invalid", &["120", "0", "128"], &["129", "+1", "/64", "x"]),
        (
            |texts| &mut texts.mtu,
            "mtu-invalid",
            &["1400", "68", "65535"],
            &["67", "65536", "-1", "1.5", "big"],
        ),
        (
            |texts| &mut texts.dns,
            "dns-invalid",
            &["10.0.0.2", "10.0.0.2, fd00::1"],
            &["127.0.0.11", "::1", "dns", "0.0.0.0"],
        ),
        (
            |texts| &mut texts.pool,
            "pool-invalid",
            &["10.201.0.0/16", "10.0.0.0/24"],
            &["10.201.0.1/16", "10.0.0.0/25", "0.0.0.0/0", "10.0.0.0", "fd00::/48"],
        ),
        (|texts| &mut texts.probe, "probe-invalid", &["true", "no"], &["maybe"]),
        (|texts| &mut texts.forward, "forward-invalid", &["true", "no"], &["2"]),
        (|texts| &mut texts.iptables, "iptables-invalid", &["auto", "nft", "legacy"], &["iptables", "NFT"]),
        (
            |texts| &mut texts.engine_version,
            "engine-version-invalid",
            &["24.0.7", "20.10.24+dfsg1", "29"],
            &["v24", "latest"],
        ),
        (
            |texts| &mut texts.bridge,
            "bridge-invalid",
            &["docker0"],
            &["br0", "a b", "../x", "sixteen-letters-", "-"],
        ),
        (|texts| &mut texts.uplink, "", &["eth0"], &[]),
    ];
    for (field, wrong, good, bad) in table {
        for text in good {
            assert_eq!(code(|texts| *field(texts) = Some((*text).to_owned())), "ok", "{text}");
        }
        for text in bad {
            assert_eq!(code(|texts| *field(texts) = Some((*text).to_owned())), wrong, "{text}");
        }
    }
    let bridged = |texts: &mut Texts| {
        texts.bridge = Some("br0".to_owned());
        texts.offset = Some("0.0.1.0".to_owned());
    };
    assert_eq!(code(bridged), "ok");
}
