//! Which firewall is chosen for which machine, and what is refused.

use super::*;
use crate::cli::Texts;
use crate::facts::native::Native;

fn options(engine: &str, firewall: &str, more: Texts) -> Options {
    let text = |text: &str| Some(text.to_owned());
    Options::parse(&Texts { engine_version: text(engine), firewall: text(firewall), ..more }).unwrap()
}

fn works() -> Facts {
    let mut facts = Facts { native: Native { program: true, ..Native::default() }, ..Facts::default() };
    facts.iptables.nft_tables = Tables::Empty;
    facts
}

type Change = fn(&mut Facts);
type Expected = Option<(FirewallBackend, Reason)>;

#[test]
fn nftables_is_for_engines_that_have_it_on_machines_where_it_works() {
    let table: &[(&str, Change, Expected)] = &[
        ("29.7.0", |_| (), Some((Nftables, Reason::Works))),
        ("30.0.0", |facts| facts.iptables.nft_tables = Tables::Unknown, Some((Nftables, Reason::Works))),
        ("28.5.2", |_| (), None),
        ("", |_| (), None),
        ("29", |facts| facts.native.program = false, iptables(Reason::NftMissing)),
        ("29", |facts| facts.iptables.nft_tables = Tables::Unavailable, iptables(Reason::Kernel)),
        ("29", |facts| facts.native.refused = Some("no".to_owned()), iptables(Reason::Kernel)),
        ("29", |facts| facts.rules_refused = Some("no".to_owned()), iptables(Reason::Kernel)),
        ("29", |facts| facts.native.swarm = true, iptables(Reason::Swarm)),
        ("29", |facts| facts.native.forward_stuck = true, iptables(Reason::Forwarding)),
        ("29", |facts| facts.forward_off = true, Some((Nftables, Reason::Works))),
        ("29", |facts| facts.host_network = true, iptables(Reason::HostNetwork)),
        ("29", |facts| facts.forward_chain = ForwardChain::InUse, iptables(Reason::HasRules)),
        ("29", |facts| facts.forward_chain = ForwardChain::OursUnused, Some((Nftables, Reason::Works))),
        ("29", |facts| facts.native.legacy_filter = true, iptables(Reason::HasRules)),
    ];
    for (engine, change, expected) in table {
        let mut facts = works();
        change(&mut facts);
        let options = options(engine, "auto", Texts::default());
        let connection = Connection::default_mode("docker0", "10.200.0.1/16".parse().unwrap(), &[]);
        let found = decide(&facts, &options, &connection).unwrap();
        let chosen = found.chosen.as_ref().map(|chosen| (chosen.backend, chosen.reason));
        assert_eq!(chosen, *expected, "{engine} {facts:?}");
        let mut engine = Engine::default();
        found.configure(&connection, &options, &mut engine);
        let setting = expected.map(|(backend, _)| serde_json::json!(backend));
        assert_eq!(engine.config.get("firewall-backend"), setting.as_ref());
    }
}

fn iptables(reason: Reason) -> Expected {
    Some((FirewallBackend::Iptables, reason))
}

#[test]
fn nftables_that_was_asked_for_is_refused_where_the_engine_would_not_start() {
    let table: &[(&str, Change, Option<&str>)] = &[
        ("29.7.0", |_| (), None),
        ("", |_| (), None),
        ("28.5.2", |_| (), Some("engine 28")),
        ("29", |facts| facts.native.program = false, Some("nft is not installed")),
        ("29", |facts| facts.native.swarm = true, Some("swarm")),
        ("29", |facts| facts.native.forward_stuck = true, Some("ip_forward")),
        ("29", |facts| facts.iptables.nft_tables = Tables::Unavailable, Some("no nf_tables")),
        ("29", |facts| facts.host_network = true, None),
    ];
    let connection = Connection::default_mode("docker0", "10.200.0.1/16".parse().unwrap(), &[]);
    for (engine, change, why) in table {
        let mut facts = works();
        change(&mut facts);
        match (decide(&facts, &options(engine, "nftables", Texts::default()), &connection), why) {
            (Ok(found), None) => assert!(found.is_native(), "{engine}"),
            (Err(fault), Some(why)) => {
                assert_eq!(fault.code, fault::FIREWALL_UNAVAILABLE);
                assert!(fault.message.contains(why), "{}", fault.message);
            }
            (other, _) => panic!("{engine}: {other:?}"),
        }
    }
    let mut facts = works();
    facts.native.legacy_filter = true;
    let found = decide(&facts, &options("29", "nftables", Texts::default()), &connection).unwrap();
    assert_eq!(found.warnings[0].code, fault::FIREWALL_MIXED);
}

#[test]
fn iptables_that_is_named_goes_before_auto_and_not_before_nftables() {
    let named = || Texts { iptables: Some("nft".to_owned()), ..Texts::default() };
    let mut facts = works();
    facts.iptables.nft = Some("/usr/sbin/xtables-nft-multi".into());
    let connection = Connection::default_mode("docker0", "10.200.0.1/16".parse().unwrap(), &[]);
    let auto = decide(&facts, &options("29", "auto", named()), &connection).unwrap();
    assert_eq!(auto.chosen.unwrap().reason, Reason::IptablesNamed);
    assert!(auto.iptables.is_nft());
    let forced = decide(&facts, &options("29", "nftables", named()), &connection).unwrap();
    assert!(forced.is_native() && !forced.iptables.is_nft());
    assert_eq!(forced.warnings[0].code, fault::OPTION_IGNORED);
}
