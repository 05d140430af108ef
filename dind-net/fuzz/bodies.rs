//! What the fuzz targets do with bytes. `tests/fuzz.rs` does the same with random ones, with any compiler.

use dind_net::cli::Texts;
use dind_net::facts::embedded_dns::{ADDRESS, Embedded};
use dind_net::facts::resolv_conf::ResolvConf;
use dind_net::netlink::nftables::answer::{Chain, Rule, Table, collect, generation, verdict};
use dind_net::netlink::route::parse_routes;
use dind_net::options::Options;
use dind_net::plan::without_machine::question;

/// Whatever a route, a resolv.conf, a table of sockets or an option holds, nothing panics.
pub(crate) fn parsers(bytes: &[u8]) {
    let _ = parse_routes(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = (ResolvConf::parse(text), Embedded::parse(ADDRESS, text, text));
    let some = Some(text.to_owned());
    let texts = Texts {
        offset: some.clone(),
        size: some.clone(),
        bridge: some.clone(),
        uplink: some.clone(),
        mtu: some.clone(),
        dns: some.clone(),
        pool: some.clone(),
        probe: some.clone(),
        iptables: some.clone(),
        forward: some.clone(),
        ipv6: some.clone(),
        offset6: some.clone(),
        size6: some.clone(),
        engine_version: some.clone(),
        ..Texts::default()
    };
    let _ = (Options::parse(&texts), question(some.as_ref(), some.as_ref(), &texts));
}

/// Whatever nf_tables answers, nothing panics, and the end of the bytes is the end of the answer.
pub(crate) fn nftables(bytes: &[u8]) {
    let mut bodies = Vec::new();
    let _ = collect(bytes, &mut bodies);
    for body in bodies.iter().map(Vec::as_slice).chain([bytes]) {
        let _ = (Table::parse(body), Chain::parse(body), Rule::parse(body), generation(body));
    }
    let mut rest = bytes;
    while verdict(&mut rest).is_some() {}
}
