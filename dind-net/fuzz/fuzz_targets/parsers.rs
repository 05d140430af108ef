//! Whatever a route, a resolv.conf, a table of sockets or an option holds, it is no panic.
#![no_main]

use dind_net::cli::Texts;
use dind_net::facts::{parse_options, parse_resolvers};
use dind_net::names::Embedded;
use dind_net::options::{Options, question};
use dind_net::rtnl::parse_routes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = parse_routes(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = (parse_resolvers(text), parse_options(text), Embedded::parse(text, text));
    let some = Some(text.to_owned());
    let texts = Texts {
        offset: some.clone(),
        size: some.clone(),
        bridge: some.clone(),
        mtu: some.clone(),
        dns: some.clone(),
        pool: some.clone(),
        engine_version: some.clone(),
        ..Texts::default()
    };
    let _ = (Options::parse(&texts), question(some.as_ref(), some.as_ref(), &texts));
});
