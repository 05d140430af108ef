//! Docker's embedded name server: 127.0.0.11 of the node's own network namespace, which inner containers cannot reach.
//!
//! The outer engine's process listens there on two ports of its choice, and diverts port 53 to them in `OUTPUT`: that
//! helps the node's own processes only. The ports are in `/proc/net/udp` and `/proc/net/tcp`.

use dind_system::Root;
use std::io;
use std::net::Ipv4Addr;

/// The address of the embedded server (moby, libnetwork/sandbox_dns_unix.go).
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);

/// States of include/net/tcp_states.h; a UDP socket that is not connected is "closed".
const LISTENS: &str = "0A";
const UNCONNECTED: &str = "07";

/// Where the embedded server really listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Embedded {
    /// UDP port.
    pub udp: u16,
    /// TCP port, for answers that are too long.
    pub tcp: Option<u16>,
}

impl Embedded {
    /// Looks for its sockets.
    ///
    /// # Errors
    /// Those of reading `/proc/net`.
    pub fn observe(root: &Root) -> io::Result<Option<Self>> {
        let read = |path| root.read_opt(path).map(Option::unwrap_or_default);
        Ok(Self::parse(&read("/proc/net/udp")?, &read("/proc/net/tcp")?))
    }

    /// Looks through the two tables of sockets.
    #[must_use]
    pub fn parse(udp: &str, tcp: &str) -> Option<Self> {
        port(udp, UNCONNECTED).map(|udp| Self { udp, tcp: port(tcp, LISTENS) })
    }
}

/// The port of the first socket of the embedded server in a table of proc_net(5).
fn port(table: &str, state: &str) -> Option<u16> {
    table.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (address, port) = words.next()?.split_once(':')?;
        // The address as the machine stores it, the port as a number.
        let address = u32::from_str_radix(address, 16).ok()?.to_ne_bytes();
        let (_, found) = (words.next(), words.next()?);
        if Ipv4Addr::from(address) == ADDRESS && found == state {
            u16::from_str_radix(port, 16).ok()
        } else {
            None
        }
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
        assert_eq!(port(&table, UNCONNECTED), Some(0xd30f));
        assert_eq!(port(&table, LISTENS), Some(0x9b35));
        for table in ["", "x", "1: zz:zz 0 07", "1: 0B00007F 0 07", "1: 0B00007F:10000 0 07"] {
            assert_eq!(port(table, UNCONNECTED), None, "{table}");
        }
    }
}
