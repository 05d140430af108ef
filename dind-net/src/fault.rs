//! The errors and warnings of dind-net; the README lists each with what can be done about it.

use dind_contract::{Code, ExitCode, Fault};
use std::fmt::Display;

/// An address that is not `a.b.c.d/n`, or a gateway that is not `a.b.c.d`.
pub const ADDRESS_INVALID: Code = Code::new("address-invalid", ExitCode::Config);
/// An offset that is neither `a.b.c.d` nor `auto`.
pub const OFFSET_INVALID: Code = Code::new("offset-invalid", ExitCode::Config);
/// A size that is not a number from 0 to 32.
pub const SIZE_INVALID: Code = Code::new("size-invalid", ExitCode::Config);
/// Address + offset lies past the subnet's end.
pub const RANGE_WRAPS: Code = Code::new("range-wraps", ExitCode::Config);
/// The range is not smaller than the subnet.
pub const RANGE_OUTSIDE_SUBNET: Code = Code::new("range-outside-subnet", ExitCode::Config);
/// A /31 or /32 leaves no addresses for containers.
pub const RANGE_TOO_SMALL: Code = Code::new("range-too-small", ExitCode::Config);
/// The range holds the outer network's gateway.
pub const RANGE_HOLDS_GATEWAY: Code = Code::new("range-holds-gateway", ExitCode::Config);
/// The range holds the container's own address.
pub const RANGE_HOLDS_SELF: Code = Code::new("range-holds-self", ExitCode::Config);
/// The range holds the subnet's network address.
pub const RANGE_HOLDS_NETWORK: Code = Code::new("range-holds-network", ExitCode::Config);
/// The range holds the subnet's broadcast address.
pub const RANGE_HOLDS_BROADCAST: Code = Code::new("range-holds-broadcast", ExitCode::Config);
/// The gateway lies outside the subnet, or is the own, network or broadcast address.
pub const GATEWAY_UNUSABLE: Code = Code::new("gateway-unusable", ExitCode::Config);
/// `auto` has no range left for this address.
pub const OFFSET_AUTO_NO_ROOM: Code = Code::new("offset-auto-no-room", ExitCode::Config);
/// An address of the range answers.
pub const RANGE_IN_USE: Code = Code::new("range-in-use", ExitCode::InUse);

/// A bridge name that the kernel or dockerd would not take.
pub const BRIDGE_INVALID: Code = Code::new("bridge-invalid", ExitCode::Config);
/// An MTU that is not a number, too small for IPv4, or above the uplink's.
pub const MTU_INVALID: Code = Code::new("mtu-invalid", ExitCode::Config);
/// A name server that is not an address, or one that inner containers cannot reach.
pub const DNS_INVALID: Code = Code::new("dns-invalid", ExitCode::Config);
/// A pool that is not an IPv4 network, or too small to be shared out; or none that an engine would take.
pub const POOL_INVALID: Code = Code::new("pool-invalid", ExitCode::Config);
/// `DIND_NET_BIP` is not the address of a host with its prefix, or the node is bridged.
pub const BIP_INVALID: Code = Code::new("bip-invalid", ExitCode::Config);
/// The pool overlaps something that the container reaches.
pub const POOL_OVERLAPS: Code = Code::new("pool-overlaps", ExitCode::Config);
/// No private network is left.
pub const POOL_EXHAUSTED: Code = Code::new("pool-exhausted", ExitCode::Config);
/// `DIND_NET_RECORD_RENEWED` is not a boolean.
pub const RECORD_INVALID: Code = Code::new("record-invalid", ExitCode::Config);
/// A probe switch that is neither true nor false.
pub const PROBE_INVALID: Code = Code::new("probe-invalid", ExitCode::Config);
/// The choice whether forwarding is switched on is neither true nor false.
pub const FORWARD_INVALID: Code = Code::new("forward-invalid", ExitCode::Config);
/// An engine version that does not start with a number.
pub const ENGINE_VERSION_INVALID: Code = Code::new("engine-version-invalid", ExitCode::Config);
/// A backend that is neither auto, nft nor legacy.
pub const IPTABLES_INVALID: Code = Code::new("iptables-invalid", ExitCode::Config);
/// A firewall backend that is neither auto, iptables nor nftables.
pub const FIREWALL_INVALID: Code = Code::new("firewall-invalid", ExitCode::Config);
/// A mark that is no number of 32 bits, that all packets have, or none.
pub const FWMARK_INVALID: Code = Code::new("fwmark-invalid", ExitCode::Config);
/// nftables was asked for, and the engine would not start with it.
pub const FIREWALL_UNAVAILABLE: Code = Code::new("firewall-unavailable", ExitCode::Config);
/// Forwarding cannot be switched on or off.
pub const FORWARDING_FAILED: Code = Code::new("forwarding-failed", ExitCode::Io);
/// A choice of IPv6 that is neither auto, true nor false.
pub const IPV6_INVALID: Code = Code::new("ipv6-invalid", ExitCode::Config);
/// IPv6 was asked for, and cannot be.
pub const IPV6_UNAVAILABLE: Code = Code::new("ipv6-unavailable", ExitCode::Config);
/// Neighbour solicitations cannot be sent or received.
pub const NDISC_FAILED: Code = Code::new("ndisc-failed", ExitCode::Io);
/// The way router advertisements are taken cannot be changed, or not be recorded.
pub const ACCEPT_RA_FAILED: Code = Code::new("accept-ra-failed", ExitCode::Io);
/// The backend that was asked for is not installed.
pub const IPTABLES_MISSING: Code = Code::new("iptables-missing", ExitCode::Config);

/// No IPv4 default route, or no link of that name.
pub const UPLINK_MISSING: Code = Code::new("uplink-missing", ExitCode::Config);
/// More than one link has a default route.
pub const UPLINK_AMBIGUOUS: Code = Code::new("uplink-ambiguous", ExitCode::Config);
/// The uplink is not a veth, and nobody said that it may be something else.
pub const UPLINK_KIND: Code = Code::new("uplink-kind", ExitCode::Config);
/// The uplink cannot join a bridge: it is down, loopback, a bridge, or in another bridge.
pub const UPLINK_UNUSABLE: Code = Code::new("uplink-unusable", ExitCode::Config);
/// No IPv4 address of the uplink reaches the gateway.
pub const UPLINK_ADDRESS_MISSING: Code = Code::new("uplink-address-missing", ExitCode::Config);
/// The network namespace is the machine's own.
pub const HOST_NETWORK: Code = Code::new("host-network", ExitCode::Config);
/// Another engine lives in this network namespace.
pub const NETWORK_IN_USE: Code = Code::new("network-in-use", ExitCode::InUse);
/// A link of the bridge's name exists and is not ours.
pub const BRIDGE_EXISTS: Code = Code::new("bridge-exists", ExitCode::Config);
/// Bridged already, with another bridge or uplink.
pub const ALREADY_BRIDGED: Code = Code::new("already-bridged", ExitCode::Config);
/// A route that could not be restored.
pub const ROUTE_UNSUPPORTED: Code = Code::new("route-unsupported", ExitCode::Config);
/// A policy rule that names the uplink.
pub const RULE_UNSUPPORTED: Code = Code::new("rule-unsupported", ExitCode::Config);

/// `apply` with a root other than `/`.
pub const ROOT_IS_FAKE: Code = Code::new("root-is-fake", ExitCode::Config);
/// A captured machine's file that is not what it should be.
pub const FACTS_INVALID: Code = Code::new("facts-invalid", ExitCode::Config);
/// Not the user root.
pub const NOT_ROOT: Code = Code::new("not-root", ExitCode::Privilege);
/// `CAP_NET_ADMIN` is missing.
pub const CAP_NET_ADMIN_MISSING: Code = Code::new("cap-net-admin-missing", ExitCode::Privilege);
/// `CAP_NET_RAW` is missing.
pub const CAP_NET_RAW_MISSING: Code = Code::new("cap-net-raw-missing", ExitCode::Privilege);
/// Another dind-net is at work.
pub const BUSY: Code = Code::new("busy", ExitCode::InUse);
/// A file of facts cannot be read.
pub const READ_FAILED: Code = Code::new("read-failed", ExitCode::Io);
/// The kernel refused a netlink request.
pub const NETLINK_FAILED: Code = Code::new("netlink-failed", ExitCode::Io);
/// ARP packets cannot be sent or received.
pub const ARP_FAILED: Code = Code::new("arp-failed", ExitCode::Io);
/// The gateway answered before the uplink joined the bridge, and not after.
pub const GATEWAY_LOST: Code = Code::new("gateway-lost", ExitCode::Io);
/// The kernel refused the firewall rules, or they cannot be recorded.
pub const RULES_FAILED: Code = Code::new("rules-failed", ExitCode::Io);
/// The state before the first change cannot be saved.
pub const JOURNAL_FAILED: Code = Code::new("journal-failed", ExitCode::CannotCreate);
/// The directory of iptables links cannot be made or removed.
pub const LINKS_FAILED: Code = Code::new("links-failed", ExitCode::CannotCreate);
/// A step failed, and undoing the earlier ones failed too.
pub const UNDO_FAILED: Code = Code::new("undo-failed", ExitCode::Io);

/// All codes.
pub const CODES: &[Code] = &[
    ADDRESS_INVALID,
    OFFSET_INVALID,
    SIZE_INVALID,
    RANGE_WRAPS,
    RANGE_OUTSIDE_SUBNET,
    RANGE_TOO_SMALL,
    RANGE_HOLDS_GATEWAY,
    RANGE_HOLDS_SELF,
    RANGE_HOLDS_NETWORK,
    RANGE_HOLDS_BROADCAST,
    GATEWAY_UNUSABLE,
    OFFSET_AUTO_NO_ROOM,
    RANGE_IN_USE,
    BRIDGE_INVALID,
    MTU_INVALID,
    DNS_INVALID,
    POOL_INVALID,
    BIP_INVALID,
    POOL_OVERLAPS,
    POOL_EXHAUSTED,
    RECORD_INVALID,
    PROBE_INVALID,
    FORWARD_INVALID,
    ENGINE_VERSION_INVALID,
    IPTABLES_INVALID,
    FIREWALL_INVALID,
    FWMARK_INVALID,
    FIREWALL_UNAVAILABLE,
    IPTABLES_MISSING,
    IPV6_INVALID,
    IPV6_UNAVAILABLE,
    UPLINK_MISSING,
    UPLINK_AMBIGUOUS,
    UPLINK_KIND,
    UPLINK_UNUSABLE,
    UPLINK_ADDRESS_MISSING,
    HOST_NETWORK,
    NETWORK_IN_USE,
    BRIDGE_EXISTS,
    ALREADY_BRIDGED,
    ROUTE_UNSUPPORTED,
    RULE_UNSUPPORTED,
    ROOT_IS_FAKE,
    FACTS_INVALID,
    NOT_ROOT,
    CAP_NET_ADMIN_MISSING,
    CAP_NET_RAW_MISSING,
    BUSY,
    READ_FAILED,
    NETLINK_FAILED,
    ARP_FAILED,
    NDISC_FAILED,
    ACCEPT_RA_FAILED,
    FORWARDING_FAILED,
    GATEWAY_LOST,
    RULES_FAILED,
    JOURNAL_FAILED,
    LINKS_FAILED,
    UNDO_FAILED,
];

/// Inner containers would get name servers nobody chose.
pub const DNS_LOOPBACK: &str = "dns-loopback";
/// The engine will work in the machine's own network namespace.
pub const SHARED_HOST_NETWORK: &str = "shared-host-network";
/// The uplink is not a veth, but was asked for by name.
pub const UPLINK_FORCED: &str = "uplink-forced";
/// IPv6 addresses move along.
pub const IPV6_MOVED: &str = "ipv6-moved";
/// Not every address of the range is probed.
pub const PROBE_PARTIAL: &str = "probe-partial";
/// No iptables is installed.
pub const IPTABLES_NOT_FOUND: &str = "iptables-not-found";
/// The gateway did not answer ARP before anything changed, so it is not asked afterwards.
pub const GATEWAY_SILENT: &str = "gateway-silent";
/// User-defined networks will have an MTU that the uplink does not carry.
pub const MTU_USER_NETWORKS: &str = "mtu-user-networks";
/// Bridged mode: containers on user-defined networks reach the node, and nothing beyond it.
pub const USER_NETWORKS_CUT_OFF: &str = "user-networks-cut-off";
/// Bridged mode: frames that the outer bridge sends back are not told apart.
pub const HAIRPIN_UNFILTERED: &str = "hairpin-unfiltered";

/// A name server of the node that no inner container can use, beside others that they can.
pub const DNS_UNUSABLE: &str = "dns-unusable";
/// A network of the engine's record overlaps what the container reaches now.
pub const NETWORK_COLLIDES: &str = "network-collides";
/// All of the engine's own pools overlap what the container reaches.
pub const POOLS_TAKEN: &str = "pools-taken";
/// An engine before 27 cuts one network from a pool of IPv6.
pub const POOL_ONE_NETWORK: &str = "pool-one-network";
/// A network that the user insists on is behind a gateway, too.
pub const POOL_ROUTED: &str = "pool-routed";
/// Rules of iptables decide what is forwarded, beside an engine that writes its own with nft.
pub const FIREWALL_MIXED: &str = "firewall-mixed";
/// An option is given that has no effect.
pub const OPTION_IGNORED: &str = "option-ignored";

/// All warning codes.
pub const WARNINGS: &[&str] = &[
    DNS_LOOPBACK,
    SHARED_HOST_NETWORK,
    UPLINK_FORCED,
    IPV6_MOVED,
    PROBE_PARTIAL,
    IPTABLES_NOT_FOUND,
    GATEWAY_SILENT,
    MTU_USER_NETWORKS,
    USER_NETWORKS_CUT_OFF,
    HAIRPIN_UNFILTERED,
    DNS_UNUSABLE,
    NETWORK_COLLIDES,
    POOLS_TAKEN,
    POOL_ONE_NETWORK,
    POOL_ROUTED,
    FIREWALL_MIXED,
    OPTION_IGNORED,
];

/// A file of facts that cannot be read.
pub fn unreadable(path: impl Display, cause: impl Display) -> Fault {
    READ_FAILED.cannot("read", path, cause).hint("make the file readable for the user that runs dind-net")
}

/// A network that cannot be read.
pub fn unlistable(cause: impl Display) -> Fault {
    NETLINK_FAILED
        .failed("cannot read the network", cause)
        .hint("run it again; the container's seccomp profile has to allow netlink sockets")
}

/// A link that the user has named, and that does not exist.
#[must_use]
pub fn no_link(name: &str) -> Fault {
    UPLINK_MISSING
        .cannot("find", name, "there is no such link")
        .hint("set DIND_NET_UPLINK to the link of the outer network, or leave it unset")
}

/// One of several causes of the same failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Its code.
    pub code: Code,
    /// What is wrong, in words.
    pub words: String,
    /// What can be done about it.
    pub hint: String,
}

impl Cause {
    /// A cause.
    pub fn new(code: Code, words: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code, words: words.into(), hint: hint.into() }
    }
}

/// One fault of all causes, in order of precedence: code and hint are those of the first; the message has all words, and
/// `causes` all codes. Nothing where there is no cause.
#[must_use]
pub fn of_causes(what: &str, causes: &[Cause]) -> Option<Fault> {
    let first = causes.first()?;
    let words: Vec<&str> = causes.iter().map(|cause| cause.words.as_str()).collect();
    let mut fault = first.code.failed(what, words.join("; ")).hint(&first.hint);
    fault.causes = causes.iter().map(|cause| cause.code.name.to_owned()).collect();
    Some(fault)
}
