//! A name server on the loopback of the node's own network namespace, which inner containers cannot reach: Docker's embedded
//! one, 127.0.0.11, or a cache that runs beside the node.
//!
//! For Docker's, the outer engine's process listens on two ports of its choice, and diverts port 53 to them in `OUTPUT`: that
//! helps the node's own processes only. The ports are in `/proc/net/udp` and `/proc/net/tcp`.

use dind_system::Root;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

/// The address of the embedded server (moby, libnetwork/sandbox_dns_unix.go).
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);

/// The stubs of systemd-resolved, which answers nothing that does not come from the loopback itself (systemd-resolved.service(8)).
const RESOLVED: [Ipv4Addr; 2] = [Ipv4Addr::new(127, 0, 0, 53), Ipv4Addr::new(127, 0, 0, 54)];

/// States of include/net/tcp_states.h; a UDP socket that is not connected is "closed".
const LISTENS: &str = "0A";
const UNCONNECTED: &str = "07";

/// The port of name servers.
const DOMAIN: u16 = 53;

/// Where the server really listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Embedded {
    /// Its address.
    pub address: Ipv4Addr,
    /// UDP port.
    pub udp: u16,
    /// TCP port, for answers that are too long.
    pub tcp: Option<u16>,
}

impl Embedded {
    /// Looks for the sockets of the first of these name servers that is on loopback, and listens.
    ///
    /// # Errors
    /// Those of reading `/proc/net`.
    pub fn observe(root: &Root, servers: &[IpAddr]) -> io::Result<Option<Self>> {
        let mut loopback = servers.iter().filter_map(|server| match server {
            IpAddr::V4(address) if address.is_loopback() && !RESOLVED.contains(address) => Some(*address),
            _ => None,
        });
        let read = |path| root.read_opt(path).map(Option::unwrap_or_default);
        let (udp, tcp) = (read("/proc/net/udp")?, read("/proc/net/tcp")?);
        Ok(loopback.find_map(|address| Self::parse(address, &udp, &tcp)))
    }

    /// Looks through the two tables of sockets.
    #[must_use]
    pub fn parse(address: Ipv4Addr, udp: &str, tcp: &str) -> Option<Self> {
        let tcp = port(address, tcp, LISTENS);
        port(address, udp, UNCONNECTED).map(|udp| Self { address, udp, tcp })
    }
}

/// The port of the first socket of the server in a table of proc_net(5).
fn port(server: Ipv4Addr, table: &str, state: &str) -> Option<u16> {
    table.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (address, port) = words.next()?.split_once(':')?;
        // The address as the machine stores it, the port as a number.
        let address = Ipv4Addr::from(u32::from_str_radix(address, 16).ok()?.to_ne_bytes());
        let (_, found) = (words.next(), words.next()?);
        let port = u16::from_str_radix(port, 16).ok()?;
        let is_server = match server {
            ADDRESS => address == server,
            _ => port == DOMAIN && (address == server || address.is_unspecified()),
        };
        (is_server && found == state).then_some(port)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets() {
        let own = format!("{:08X}", u32::from_ne_bytes(ADDRESS.octets()));
        let table = format!(
            "  sl  local_address rem_address   st tx_queue\n   1: 0100007F:0035 00000000:0000 07 0:0\n\
             3312: {own}:D30F 00000000:0000 07 00000000:00000000\n   0: {own}:9B35 00000000:0000 0A 0:0"
        );
        assert_eq!(port(ADDRESS, &table, UNCONNECTED), Some(0xd30f));
        assert_eq!(port(ADDRESS, &table, LISTENS), Some(0x9b35));
        let (cache, other) = (Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2));
        assert_eq!(port(cache, &table, UNCONNECTED), Some(53), "a cache beside the node");
        assert_eq!(port(other, &table, UNCONNECTED), None);
        let all = "1: 00000000:0035 00000000:0000 07 0:0";
        assert_eq!(port(other, all, UNCONNECTED), Some(53), "it listens on all addresses");
        assert_eq!(port(ADDRESS, all, UNCONNECTED), None, "that is somebody else's");
        for table in ["", "x", "1: zz:zz 0 07", "1: 0B00007F 0 07", "1: 0B00007F:10000 0 07"] {
            assert_eq!(port(ADDRESS, table, UNCONNECTED), None, "{table}");
        }
    }
}
