//! The calculator of bridged mode for IPv6: which addresses of the outer subnet the inner containers get. Integers only.
//!
//! It is [`crate::plan::range`] in 128 bits. IPv6 has no broadcast address; what IPv4 reserves as the network's address is the
//! subnet-router anycast address here (RFC 4291, section 2.6.1), and a gateway is often link-local, outside of every subnet.

use crate::fault::{self, Cause};
use crate::values::Offset6;
use dind_contract::Fault;
use ipnet::Ipv6Net;
use std::net::Ipv6Addr;

/// The longest prefix with room for containers: four addresses, as with IPv4.
const LONGEST: u8 = 126;

/// What the calculation starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// The container's own address, with the subnet's prefix.
    pub address: Ipv6Net,
    /// The outer network's gateway.
    pub gateway: Ipv6Addr,
    /// How far from the own address the range lies.
    pub offset: Offset6,
    /// The range's prefix length, 0 to 128.
    pub size: u8,
}

/// A range that passed all checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The addresses of inner containers.
    pub net: Ipv6Net,
    /// The offset that led there, also where `auto` was asked for.
    pub offset: u128,
}

/// The range: the `size` network around host part + offset, inside the subnet.
///
/// # Errors
/// The first cause that holds is the code; all that hold are in `causes`, by code, and in the message, in words.
pub fn compute(question: &Question) -> Result<Range, Fault> {
    let offset = match question.offset {
        Offset6::By(offset) => offset,
        Offset6::Auto => automatic(question)?,
    };
    let net = place(question.address, offset, question.size);
    let mut causes = Vec::new();
    if net.is_none() {
        let (address, subnet) = (question.address.addr(), question.address.trunc());
        let words = format!("{address} + {} is past the end of {subnet}", Ipv6Addr::from(offset));
        causes.push(Cause::new(fault::RANGE_WRAPS, words, "choose a smaller DOCKER_NETWORK_OFFSET6"));
    }
    causes.extend(check_size(question));
    causes.extend(net.iter().flat_map(|net| check_addresses(question, *net)));
    causes.extend(check_gateway(question));
    match (net, fault::of_causes(&what(question), &causes)) {
        (_, Some(fault)) => Err(fault),
        (Some(net), None) => Ok(Range { net, offset }),
        // Never reached: without a range there is a cause.
        (None, None) => Err(fault::RANGE_WRAPS.failed(what(question), "it wraps around")),
    }
}

/// Host part + offset, cut to `size`; nothing when the sum is past the subnet's end.
fn place(address: Ipv6Net, offset: u128, size: u8) -> Option<Ipv6Net> {
    let mask = u128::from(address.hostmask());
    let sum = (u128::from(address.addr()) & mask).checked_add(offset).filter(|sum| *sum <= mask)?;
    let around = Ipv6Addr::from(u128::from(address.network()) | sum);
    Ipv6Net::new(around, size).ok().map(|net| net.trunc())
}

fn check_size(question: &Question) -> Vec<Cause> {
    let (subnet, size) = (question.address.trunc(), question.size);
    let mut causes = Vec::new();
    if size <= subnet.prefix_len() {
        let words = format!("a /{size} is not smaller than the subnet {subnet}");
        let hint = "choose a DOCKER_NETWORK_SIZE6 above the subnet's prefix length";
        causes.push(Cause::new(fault::RANGE_OUTSIDE_SUBNET, words, hint));
    }
    if size > LONGEST {
        let words = format!("a /{size} has no room for containers");
        causes.push(Cause::new(
            fault::RANGE_TOO_SMALL,
            words,
            "choose a DOCKER_NETWORK_SIZE6 of 126 or less",
        ));
    }
    causes
}

fn check_addresses(question: &Question, net: Ipv6Net) -> impl Iterator<Item = Cause> {
    let hint =
        "choose a DOCKER_NETWORK_OFFSET6 that leads to a free part of the subnet, such as ::100, or auto";
    let reserved = [
        (fault::RANGE_HOLDS_GATEWAY, question.gateway, "the gateway"),
        (fault::RANGE_HOLDS_SELF, question.address.addr(), "the container's own address"),
        (fault::RANGE_HOLDS_NETWORK, question.address.network(), "the subnet-router anycast address"),
    ];
    reserved
        .into_iter()
        .filter(move |(_, address, _)| net.contains(address))
        .map(move |(code, address, whose)| Cause::new(code, format!("{net} holds {whose} {address}"), hint))
}

fn check_gateway(question: &Question) -> Option<Cause> {
    let (gateway, subnet) = (question.gateway, question.address.trunc());
    let words = if gateway == question.address.addr() {
        format!("the gateway {gateway} is the container's own address")
    } else if !subnet.contains(&gateway) && !gateway.is_unicast_link_local() {
        format!("the gateway {gateway} is neither in {subnet} nor link-local")
    } else {
        return None;
    };
    Some(Cause::new(fault::GATEWAY_UNUSABLE, words, "give the gateway of the container's own subnet"))
}

fn what(question: &Question) -> String {
    let offset = match question.offset {
        Offset6::By(offset) => Ipv6Addr::from(offset).to_string(),
        Offset6::Auto => "auto".to_owned(),
    };
    format!("cannot compute the range {} + {offset} /{}", question.address, question.size)
}

/// The offset to a range of the container's own: that of [`crate::plan::range::automatic`], which has the proof.
///
/// # Errors
/// [`fault::OFFSET_AUTO_NO_ROOM`], with the numbers, for a host number past the last one that gets a range.
pub fn automatic(question: &Question) -> Result<u128, Fault> {
    let (address, size) = (question.address, question.size);
    let subnet = address.trunc();
    if size <= subnet.prefix_len() || size > LONGEST {
        // The size itself is refused, with its own cause.
        return Ok(0);
    }
    // N·B; a subnet of all addresses, whose number has 129 bits, is none that anybody has.
    let addresses = 1u128.checked_shl(128 - u32::from(subnet.prefix_len())).unwrap_or(0);
    let block = 1u128 << (128 - size);
    let nodes = (addresses / (block + 1)).saturating_sub(1);
    let reserved = (nodes + 1).div_ceil(block);
    let host = u128::from(address.addr()) & u128::from(address.hostmask());
    if host == 0 || host > nodes {
        let room = format!(
            "{subnet} has /{size} ranges for the host numbers 1 to {nodes}, and {} has number {host}",
            address.addr()
        );
        return Err(fault::OFFSET_AUTO_NO_ROOM
            .failed(what(question), room)
            .cause(fault::OFFSET_AUTO_NO_ROOM.name)
            .hint("choose a longer DOCKER_NETWORK_SIZE6, or give the node a smaller address with --ip6"));
    }
    Ok((reserved - 1 + host) * block - host)
}

#[cfg(test)]
#[path = "range6_tests.rs"]
mod tests;
