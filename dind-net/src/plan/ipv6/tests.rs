//! What is in the way, on a machine where everything else is well.

use crate::cli::Texts;
use crate::facts::Facts;
use crate::fault;
use crate::options::Options;
use crate::plan;
use crate::report::WhyNot;
use dind_system::Root;

fn parse(ipv6: Option<&str>, iptables: Option<&str>) -> Options {
    let text = |text: Option<&str>| text.map(str::to_owned);
    Options::parse(&Texts { ipv6: text(ipv6), iptables: text(iptables), ..Texts::default() }).unwrap()
}

#[test]
fn each_obstacle_is_named_and_refused_where_ipv6_is_asked_for() {
    type Change = fn(&mut Facts);
    let table: &[(Change, Option<&str>, WhyNot)] = &[
        (|facts| facts.ipv6.links.clear(), None, WhyNot::Kernel),
        (|facts| facts.ipv6.read_only = true, None, WhyNot::Kernel),
        (
            |facts| facts.ipv6.links.values_mut().for_each(|link| link.disabled = true),
            None,
            WhyNot::OuterNetwork,
        ),
        (|facts| facts.net.routes.retain(|route| !route.is_default6()), None, WhyNot::OuterNetwork),
        (|facts| facts.ipv6.program = false, None, WhyNot::Firewall),
        (|facts| facts.ipv6.nft_refused = Some("No such file".to_owned()), None, WhyNot::Firewall),
        (|_| {}, Some("legacy"), WhyNot::Firewall),
    ];
    let root = Root::at(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/61-ipv6/root"));
    let facts = Facts::observe(&root, &parse(None, None)).unwrap();
    let found = plan::decide(&facts, &parse(None, None)).unwrap().network.ipv6.unwrap();
    assert!(found.enabled, "{found:?}");
    for (change, iptables, reason) in table {
        let mut facts = facts.clone();
        change(&mut facts);
        let found = plan::decide(&facts, &parse(None, *iptables)).unwrap();
        let report = found.network.ipv6.unwrap();
        assert_eq!((report.enabled, report.reason), (false, Some(*reason)), "{report:?}");
        assert!(!found.engine.config.contains_key("ipv6"));
        let refused = plan::decide(&facts, &parse(Some("true"), *iptables)).unwrap_err();
        assert_eq!(refused.code, fault::IPV6_UNAVAILABLE);
        assert!(refused.message.contains(&report.detail.unwrap()), "{refused}");
    }
    // ip6_tables may be a module.
    let mut facts = facts;
    facts.ipv6.legacy = true;
    let found = plan::decide(&facts, &parse(Some("true"), Some("legacy"))).unwrap();
    assert!(found.network.ipv6.unwrap().enabled);
}
