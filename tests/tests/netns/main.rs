//! dind-net in network namespaces of its own: a "host" with a bridge, and a "container" behind a veth.
//!
//! Nothing here touches the machine's own network or depends on it: each test's thread leaves it first, asserts that it has
//! left, and sets what a new namespace takes over from the machine. Its namespaces end with the thread.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bridged;
mod default;
mod engine;
mod faults;
mod hairpin;
mod ipv6;
mod namespace;
mod native;
mod refusals;
mod steps;
mod testbed;
mod traffic;

/// Bridged mode, with the ARP probe and without.
const BRIDGED: &[(&str, &str)] = &[("DOCKER_NETWORK_OFFSET", "0.0.1.0")];
const UNPROBED: &[(&str, &str)] = &[("DOCKER_NETWORK_OFFSET", "0.0.1.0"), ("DIND_NET_PROBE", "false")];
