//! Stands in for an engine of version 29 with `firewall-backend: nftables`, where no registry has one: the bridges, checks and rules
//! that such a dockerd makes in its network namespace, and nothing else of it.
//!
//! `dind-nft-engine CONFIG VERB …`, where CONFIG is a `daemon.json`:
//!
//! * `start`: the tables, the default bridge;
//! * `network BRIDGE SUBNET…`: a user-defined network;
//! * `endpoint BRIDGE ADDRESS`: a container in it;
//! * `publish BRIDGE ADDRESS PORT HOST-PORT`: a TCP port of that container.
//!
//! Names, hooks, priorities, the order of rules and the texts of refusals are those of moby (29.7),
//! daemon/libnetwork/drivers/bridge: `internal/nftabler/{nftabler,network,endpoint,port}.go`, `setup_ip_forwarding.go`.

#![allow(clippy::print_stderr, clippy::unwrap_used, clippy::expect_used)]

use ipnet::IpNet;
use serde_json::Value;
use std::io::Write;
use std::net::IpAddr;
use std::process::{Command, Stdio, exit};

const TABLE: &str = "docker-bridges";

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (file, rest) = words.split_first().expect("CONFIG VERB …");
    let config: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    if config["firewall-backend"] != "nftables" {
        refuse("this engine only has nftables");
    }
    let address = |text: &&str| text.parse::<IpAddr>().unwrap();
    match rest {
        ["start"] => start(&config),
        ["network", bridge, subnets @ ..] => {
            let subnets: Vec<IpNet> = subnets.iter().map(|subnet| subnet.parse().unwrap()).collect();
            let gateways: Vec<_> = subnets.iter().map(first_host).collect();
            make_network(&config, bridge, &gateways);
        }
        ["endpoint", bridge, container] => direct_access(bridge, address(container)),
        ["publish", bridge, container, port, host_port] => {
            publish(bridge, address(container), port, host_port);
        }
        _ => refuse("start, network, endpoint or publish"),
    }
}

fn refuse(why: impl std::fmt::Display) -> ! {
    eprintln!("failed to start daemon: {why}");
    exit(1);
}

fn first_host(subnet: &IpNet) -> IpNet {
    let first = subnet.hosts().find(|host| *host != subnet.network()).unwrap();
    IpNet::new(first, subnet.prefix_len()).unwrap()
}

fn start(config: &Value) {
    for family in ["ip", "ip6"] {
        nft(&table(family));
    }
    if config["bridge"] == "none" {
        return;
    }
    let text = |key: &str| config[key].as_str().map(|text| text.parse::<IpNet>().unwrap());
    let bridge = config["bridge"].as_str().unwrap_or("docker0");
    let mut addresses: Vec<IpNet> = text("bip").into_iter().collect();
    if config["ipv6"] == true {
        addresses.extend(text("bip6").or_else(|| text("fixed-cidr-v6").as_ref().map(first_host)));
    }
    make_network(config, bridge, &addresses);
}

/// The tables as `init` leaves them.
fn table(family: &str) -> String {
    let loopback = if family == "ip" { "ip daddr != 127.0.0.1/8" } else { "ip6 daddr != ::1" };
    format!(
        "table {family} {TABLE} {{}}
delete table {family} {TABLE}
table {family} {TABLE} {{
  map filter-forward-in-jumps {{ type ifname : verdict; }}
  map filter-forward-out-jumps {{ type ifname : verdict; }}
  map nat-postrouting-in-jumps {{ type ifname : verdict; }}
  map nat-postrouting-out-jumps {{ type ifname : verdict; }}
  chain filter-FORWARD {{
    type filter hook forward priority 0; policy accept;
    oifname vmap @filter-forward-in-jumps
    iifname vmap @filter-forward-out-jumps
  }}
  chain nat-OUTPUT {{
    type nat hook output priority -100; policy accept;
    {loopback} fib daddr type local counter jump nat-prerouting-and-output
  }}
  chain nat-POSTROUTING {{
    type nat hook postrouting priority 100; policy accept;
    iifname vmap @nat-postrouting-out-jumps
    oifname vmap @nat-postrouting-in-jumps
  }}
  chain nat-PREROUTING {{
    type nat hook prerouting priority -100; policy accept;
    fib daddr type local counter jump nat-prerouting-and-output
  }}
  chain nat-prerouting-and-output {{ }}
  chain raw-PREROUTING {{ type filter hook prerouting priority -300; policy accept; }}
}}
"
    )
}

/// The bridge, unless it is there, what is checked of it, its rules; and only then it is up.
fn make_network(config: &Value, bridge: &str, addresses: &[IpNet]) {
    if !ip(&["link", "show", bridge]) {
        assert!(ip(&["link", "add", bridge, "type", "bridge", "mcast_snooping", "0"]), "{bridge}");
    }
    for address in addresses {
        // It may have it already.
        ip(&["addr", "add", &address.to_string(), "dev", bridge]);
        if config["ip-forward"] != false {
            check_forwarding(address);
        }
    }
    for address in addresses {
        nft(&rules(config, bridge, address));
    }
    assert!(ip(&["link", "set", bridge, "up"]), "{bridge}");
}

/// `checkIPv4Forwarding` and `checkIPv6Forwarding`.
fn check_forwarding(address: &IpNet) {
    let off = |path: &str| std::fs::read_to_string(path).unwrap().trim() != "1";
    match address {
        IpNet::V4(_) if off("/proc/sys/net/ipv4/ip_forward") => refuse(
            "IPv4 forwarding is disabled: check your host's firewalling and set sysctl net.ipv4.ip_forward=1, or disable this check \
             using daemon option --ip-forward=false",
        ),
        IpNet::V6(_)
            if off("/proc/sys/net/ipv6/conf/default/forwarding")
                || off("/proc/sys/net/ipv6/conf/all/forwarding") =>
        {
            refuse(
                "IPv6 global forwarding is disabled: check your host's firewalling and set sysctls \
                 net.ipv6.conf.all.forwarding=1 and net.ipv6.conf.default.forwarding=1, or disable this check using daemon option \
                 --ip-forward=false",
            )
        }
        _ => {}
    }
}

/// `configure` of a network.
fn rules(config: &Value, bridge: &str, address: &IpNet) -> String {
    let (family, subnet) = (family(address.addr()), address.trunc());
    let mark = config["bridge-accept-fwmark"].as_str().filter(|mark| !mark.is_empty());
    let mark = mark.map_or(String::new(), |mark| {
        let (value, mask) = mark.split_once('/').unwrap_or((mark, "0xffffffff"));
        format!("meta mark and {mask} == {value} counter accept comment \"ALLOW FW MARK\"")
    });
    format!(
        "table {family} {TABLE} {{
  chain filter-forward-in__{bridge} {{
    ct state established,related counter accept
    {mark}
    iifname == {bridge} counter accept comment ICC
    counter drop comment \"UNPUBLISHED PORT DROP\"
  }}
  chain filter-forward-out__{bridge} {{
    ct state established,related counter accept
    counter accept comment OUTGOING
  }}
  chain nat-postrouting-in__{bridge} {{ }}
  chain nat-postrouting-out__{bridge} {{
    oifname != {bridge} {family} saddr {subnet} counter masquerade comment MASQUERADE
  }}
}}
add element {family} {TABLE} filter-forward-in-jumps {{ {bridge} : jump filter-forward-in__{bridge} }}
add element {family} {TABLE} filter-forward-out-jumps {{ {bridge} : jump filter-forward-out__{bridge} }}
add element {family} {TABLE} nat-postrouting-in-jumps {{ {bridge} : jump nat-postrouting-in__{bridge} }}
add element {family} {TABLE} nat-postrouting-out-jumps {{ {bridge} : jump nat-postrouting-out__{bridge} }}
"
    )
}

/// `filterDirectAccess`: from elsewhere, a container has no address but the node's.
fn direct_access(bridge: &str, container: IpAddr) {
    let family = family(container);
    nft(&format!(
        "add rule {family} {TABLE} raw-PREROUTING {family} daddr {container} iifname != {{ {bridge} }} counter drop \
         comment \"DROP DIRECT ACCESS\"\n"
    ));
}

/// `setPerPortForwarding` and `setPerPortDNAT`. The rule for the port comes before the last one, which drops.
fn publish(bridge: &str, container: IpAddr, port: &str, host_port: &str) {
    let family = family(container);
    let chain = format!("filter-forward-in__{bridge}");
    let listed = Command::new("nft").args(["-a", "list", "chain", family, TABLE, &chain]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let last =
        listed.lines().find(|line| line.contains("UNPUBLISHED PORT DROP")).expect("the network exists");
    let handle = last.rsplit(' ').next().unwrap();
    // Whoever has a link-local address is answered by the proxy.
    let skip = if container.is_ipv4() { "" } else { "ip6 saddr != fe80::/10 " };
    let target = if container.is_ipv4() { container.to_string() } else { format!("[{container}]") };
    nft(&format!(
        "insert rule {family} {TABLE} {chain} position {handle} {family} daddr {container} tcp dport {port} counter accept
add rule {family} {TABLE} nat-prerouting-and-output iifname != {bridge} {skip}tcp dport {host_port} counter dnat to {target}:{port} comment DNAT
"
    ));
}

fn family(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "ip" } else { "ip6" }
}

/// One transaction.
fn nft(script: &str) {
    let spawned = Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn();
    let mut child = spawned.unwrap_or_else(|error| refuse(format_args!("failed to find nft tool: {error}")));
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    if !child.wait().unwrap().success() {
        refuse(format_args!("running nft: {script}"));
    }
}

fn ip(words: &[&str]) -> bool {
    let output = Command::new("ip").args(words).output().unwrap();
    output.status.success()
}
