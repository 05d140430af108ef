//! The calculator of bridged mode: which addresses of the outer subnet the inner containers get. Integers only.

use crate::fault::{self, Cause};
use crate::options::Offset;
use dind_contract::Fault;
use ipnet::Ipv4Net;
use std::net::Ipv4Addr;

/// What the calculation starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// The container's own address, with the subnet's prefix.
    pub address: Ipv4Net,
    /// The outer network's gateway.
    pub gateway: Ipv4Addr,
    /// How far from the own address the range lies.
    pub offset: Offset,
    /// The range's prefix length, 0 to 32.
    pub size: u8,
}

/// A range that passed all checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The addresses of inner containers.
    pub net: Ipv4Net,
    /// The offset that led there, also where `auto` was asked for.
    pub offset: u32,
}

/// The range: the `size` network around host part + offset, inside the subnet.
///
/// # Errors
/// The first cause that holds is the code; all that hold are in `causes`, by code, and in the message, in words.
pub fn compute(question: &Question) -> Result<Range, Fault> {
    let offset = match question.offset {
        Offset::By(offset) => offset,
        Offset::Auto => automatic(question)?,
    };
    let net = place(question.address, offset, question.size);
    let mut causes = Vec::new();
    if net.is_none() {
        let (address, subnet) = (question.address.addr(), question.address.trunc());
        let words = format!("{address} + {} is past the end of {subnet}", Ipv4Addr::from(offset));
        causes.push(Cause::new(fault::RANGE_WRAPS, words, "choose a smaller DOCKER_NETWORK_OFFSET"));
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
fn place(address: Ipv4Net, offset: u32, size: u8) -> Option<Ipv4Net> {
    let host = u32::from(address.addr()) & u32::from(address.hostmask());
    let sum = host.checked_add(offset).filter(|sum| *sum <= u32::from(address.hostmask()))?;
    let around = Ipv4Addr::from(u32::from(address.network()) | sum);
    Ipv4Net::new(around, size).ok().map(|net| net.trunc())
}

fn check_size(question: &Question) -> Vec<Cause> {
    let (subnet, size) = (question.address.trunc(), question.size);
    let mut causes = Vec::new();
    if size <= subnet.prefix_len() {
        let words = format!("a /{size} is not smaller than the subnet {subnet}");
        let hint = "choose a DOCKER_NETWORK_SIZE above the subnet's prefix length";
        causes.push(Cause::new(fault::RANGE_OUTSIDE_SUBNET, words, hint));
    }
    if size > 30 {
        let words = format!("a /{size} has no room for containers");
        causes.push(Cause::new(fault::RANGE_TOO_SMALL, words, "choose a DOCKER_NETWORK_SIZE of 30 or less"));
    }
    causes
}

fn check_addresses(question: &Question, net: Ipv4Net) -> impl Iterator<Item = Cause> {
    let subnet = question.address.trunc();
    let hint =
        "choose a DOCKER_NETWORK_OFFSET that leads to a free part of the subnet, such as 0.0.1.0, or auto";
    let reserved = [
        (fault::RANGE_HOLDS_GATEWAY, question.gateway, "the gateway"),
        (fault::RANGE_HOLDS_SELF, question.address.addr(), "the container's own address"),
        (fault::RANGE_HOLDS_NETWORK, subnet.network(), "the network address"),
        (fault::RANGE_HOLDS_BROADCAST, subnet.broadcast(), "the broadcast address"),
    ];
    reserved
        .into_iter()
        .filter(move |(_, address, _)| net.contains(address))
        .map(move |(code, address, whose)| Cause::new(code, format!("{net} holds {whose} {address}"), hint))
}

fn check_gateway(question: &Question) -> Option<Cause> {
    let (gateway, subnet) = (question.gateway, question.address.trunc());
    let words = if !subnet.contains(&gateway) {
        format!("the gateway {gateway} is not in {subnet}")
    } else if gateway == question.address.addr() {
        format!("the gateway {gateway} is the container's own address")
    } else if subnet.prefix_len() < 31 && (gateway == subnet.network() || gateway == subnet.broadcast()) {
        format!("the gateway {gateway} is the network or broadcast address of {subnet}")
    } else {
        return None;
    };
    Some(Cause::new(fault::GATEWAY_UNUSABLE, words, "give the gateway of the container's own subnet"))
}

fn what(question: &Question) -> String {
    let offset = match question.offset {
        Offset::By(offset) => Ipv4Addr::from(offset).to_string(),
        Offset::Auto => "auto".to_owned(),
    };
    format!("cannot compute the range {} + {offset} /{}", question.address, question.size)
}

/// The offset to a range of the container's own.
///
/// The subnet is cut into N ranges of B addresses. The first Z of them belong to nodes, the last one holds the
/// broadcast address, and the node with host number k (1 to M) gets range Z - 1 + k. With M + 1 = floor(N·B / (B + 1))
/// and Z = ceil((M + 1) / B) this is sound: Z + M <= N - 1, because (M + 1) + (M + 1) / B <= N, so every range lies in
/// the subnet and before the last one; the map is injective; and host numbers up to M lie in the first Z ranges, so
/// no node that gets a range lies in one. A /16 with /24 ranges: N = B = 256, M = 254, Z = 1, node .0.5 gets .5.0/24.
///
/// # Errors
/// [`fault::OFFSET_AUTO_NO_ROOM`], with the numbers, for a host number past M.
pub fn automatic(question: &Question) -> Result<u32, Fault> {
    let (address, size) = (question.address, question.size);
    let subnet = address.trunc();
    if size <= subnet.prefix_len() || size > 30 {
        // The size itself is refused, with its own cause.
        return Ok(0);
    }
    let ranges = 1u64 << (size - subnet.prefix_len());
    let block = 1u64 << (32 - size);
    let nodes = (ranges * block / (block + 1)).saturating_sub(1);
    let reserved = (nodes + 1).div_ceil(block);
    let host = u64::from(u32::from(address.addr()) & u32::from(address.hostmask()));
    if host == 0 || host > nodes {
        let room = format!(
            "{subnet} has /{size} ranges for the host numbers 1 to {nodes}, and {} has number {host}",
            address.addr()
        );
        return Err(fault::OFFSET_AUTO_NO_ROOM
            .failed(what(question), room)
            .cause(fault::OFFSET_AUTO_NO_ROOM.name)
            .hint("choose a longer DOCKER_NETWORK_SIZE, or give the outer network a smaller --ip-range"));
    }
    // At most the subnet's last range: it fits into 32 bits.
    Ok(u32::try_from((reserved - 1 + host) * block - host).unwrap_or(u32::MAX))
}

#[cfg(test)]
#[path = "range_tests.rs"]
mod tests;
