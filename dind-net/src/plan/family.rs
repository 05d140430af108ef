//! What the calculator has to know of an address family: its integers, its reserved addresses, and the names of its options.

use crate::fault;
use dind_contract::Code;
use ipnet::{Ipv4Net, Ipv6Net};
use std::fmt::{Debug, Display};
use std::net::{Ipv4Addr, Ipv6Addr};

/// An address with its subnet's prefix, in one of the two families.
pub trait Family: Copy + Debug + Display + Eq {
    /// An address without a prefix.
    type Address: Copy + Debug + Display + Eq;
    /// How many bits an address has.
    const BITS: u8;
    /// The longest prefix with room for containers: four addresses.
    const LONGEST: u8 = Self::BITS - 2;
    /// The variable that says how far from the own address the range lies.
    const OFFSET: &'static str;
    /// The variable that says how large the range is.
    const SIZE: &'static str;
    /// An offset that often leads to a free part of the subnet.
    const EXAMPLE: &'static str;
    /// What helps, beside smaller ranges, when there are fewer of them than nodes.
    const ROOM: &'static str;

    /// An address and a prefix length; nothing where the prefix is longer than an address.
    fn net(address: Self::Address, prefix: u8) -> Option<Self>;
    /// The address alone.
    fn own(self) -> Self::Address;
    /// The subnet's prefix length.
    fn prefix(self) -> u8;
    /// An address as an integer.
    fn number(address: Self::Address) -> u128;
    /// An integer as an address; it has no more bits than [`Self::BITS`].
    fn address(number: u128) -> Self::Address;
    /// The addresses of the subnet that nobody may have: the code of a range that holds one, the address, and what it is.
    fn reserved(self) -> Vec<(Code, Self::Address, &'static str)>;
    /// Why this cannot be the gateway of the subnet, if so. That it is the own address is not looked at.
    fn misplaced(self, gateway: Self::Address) -> Option<String>;

    /// The bits that addresses of the subnet differ in.
    fn host_mask(self) -> u128 {
        u128::MAX.checked_shr((128 - Self::BITS + self.prefix()).into()).unwrap_or(0)
    }

    /// The host part of the address.
    fn host(self) -> u128 {
        Self::number(self.own()) & self.host_mask()
    }

    /// The same subnet with its first address.
    fn subnet(self) -> Self {
        Self::net(Self::address(Self::number(self.own()) & !self.host_mask()), self.prefix()).unwrap_or(self)
    }

    /// Whether an address is in the subnet.
    fn holds(self, address: Self::Address) -> bool {
        (Self::number(address) ^ Self::number(self.own())) & !self.host_mask() == 0
    }
}

impl Family for Ipv4Net {
    type Address = Ipv4Addr;
    const BITS: u8 = 32;
    const OFFSET: &'static str = "DOCKER_NETWORK_OFFSET";
    const SIZE: &'static str = "DOCKER_NETWORK_SIZE";
    const EXAMPLE: &'static str = "0.0.1.0";
    const ROOM: &'static str = "give the outer network a smaller --ip-range";

    fn net(address: Ipv4Addr, prefix: u8) -> Option<Self> {
        Self::new(address, prefix).ok()
    }

    fn own(self) -> Ipv4Addr {
        self.addr()
    }

    fn prefix(self) -> u8 {
        self.prefix_len()
    }

    fn number(address: Ipv4Addr) -> u128 {
        u32::from(address).into()
    }

    fn address(number: u128) -> Ipv4Addr {
        (number as u32).into()
    }

    fn reserved(self) -> Vec<(Code, Ipv4Addr, &'static str)> {
        vec![
            (fault::RANGE_HOLDS_NETWORK, self.network(), "the network address"),
            (fault::RANGE_HOLDS_BROADCAST, self.broadcast(), "the broadcast address"),
        ]
    }

    fn misplaced(self, gateway: Ipv4Addr) -> Option<String> {
        let subnet = self.trunc();
        if !subnet.contains(&gateway) {
            Some(format!("the gateway {gateway} is not in {subnet}"))
        } else if subnet.prefix_len() < 31 && (gateway == subnet.network() || gateway == subnet.broadcast()) {
            Some(format!("the gateway {gateway} is the network or broadcast address of {subnet}"))
        } else {
            None
        }
    }
}

/// There is no broadcast address; what IPv4 reserves as the network's address is the subnet-router anycast address here
/// (RFC 4291, section 2.6.1), and a gateway is often link-local, outside of every subnet.
impl Family for Ipv6Net {
    type Address = Ipv6Addr;
    const BITS: u8 = 128;
    const OFFSET: &'static str = "DOCKER_NETWORK_OFFSET6";
    const SIZE: &'static str = "DOCKER_NETWORK_SIZE6";
    const EXAMPLE: &'static str = "::100";
    const ROOM: &'static str = "give the node a smaller address with --ip6";

    fn net(address: Ipv6Addr, prefix: u8) -> Option<Self> {
        Self::new(address, prefix).ok()
    }

    fn own(self) -> Ipv6Addr {
        self.addr()
    }

    fn prefix(self) -> u8 {
        self.prefix_len()
    }

    fn number(address: Ipv6Addr) -> u128 {
        address.into()
    }

    fn address(number: u128) -> Ipv6Addr {
        number.into()
    }

    fn reserved(self) -> Vec<(Code, Ipv6Addr, &'static str)> {
        vec![(fault::RANGE_HOLDS_NETWORK, self.network(), "the subnet-router anycast address")]
    }

    fn misplaced(self, gateway: Ipv6Addr) -> Option<String> {
        let subnet = self.trunc();
        let outside = !subnet.contains(&gateway) && !gateway.is_unicast_link_local();
        outside.then(|| format!("the gateway {gateway} is neither in {subnet} nor link-local"))
    }
}
