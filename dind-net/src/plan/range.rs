//! The calculator of bridged mode: which addresses of the outer subnet the inner containers get. Integers only.

use crate::fault;
use dind_contract::{Code, Fault};
use ipnet::Ipv4Net;
use std::net::Ipv4Addr;

/// Where the range lies, counted from the container's own address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offset {
    /// So many addresses further.
    By(u32),
    /// Wherever the own address leads; see [`automatic`].
    Auto,
}

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
/// The first reason that holds is the code; all that hold are in `causes`, by code, and in the message, in words.
pub fn compute(question: &Question) -> Result<Range, Fault> {
    let offset = match question.offset {
        Offset::By(offset) => offset,
        Offset::Auto => automatic(question)?,
    };
    let size = question.size;
    let mut reasons = Vec::new();
    let net = place(question.address, offset, size);
    match net {
        Some(net) => reasons.extend(misplaced(question, net)),
        None => {
            reasons.push((
                fault::RANGE_WRAPS,
                format!(
                    "{} + {} is past the end of {}",
                    question.address.addr(),
                    Ipv4Addr::from(offset),
                    question.address.trunc()
                ),
            ));
            reasons.extend(missized(question));
        }
    }
    reasons.extend(stray_gateway(question));
    match (net, refuse(&shown(question), reasons)) {
        (Some(net), None) => Ok(Range { net, offset }),
        (_, Some(fault)) => Err(fault),
        (None, None) => Err(fault::RANGE_WRAPS.cannot("compute", shown(question), "it wraps around")),
    }
}

/// Host part + offset, cut to `size`; nothing when the sum is past the subnet's end.
fn place(address: Ipv4Net, offset: u32, size: u8) -> Option<Ipv4Net> {
    let host = u32::from(address.addr()) & u32::from(address.hostmask());
    let sum = host.checked_add(offset).filter(|sum| *sum <= u32::from(address.hostmask()))?;
    let around = Ipv4Addr::from(u32::from(address.network()) | sum);
    Ipv4Net::new(around, size).ok().map(|net| net.trunc())
}

type Reason = (Code, String);

fn missized(question: &Question) -> Vec<Reason> {
    let (subnet, size) = (question.address.trunc(), question.size);
    let mut reasons = Vec::new();
    if size <= subnet.prefix_len() {
        reasons.push((
            fault::RANGE_OUTSIDE_SUBNET,
            format!("a /{size} is not smaller than the subnet {subnet}"),
        ));
    }
    if size > 30 {
        reasons.push((fault::RANGE_TOO_SMALL, format!("a /{size} has no room for containers")));
    }
    reasons
}

fn misplaced(question: &Question, net: Ipv4Net) -> Vec<Reason> {
    let subnet = question.address.trunc();
    let mut reasons = missized(question);
    for (code, address, whose) in [
        (fault::RANGE_HOLDS_GATEWAY, question.gateway, "the gateway"),
        (fault::RANGE_HOLDS_SELF, question.address.addr(), "the container's own address"),
        (fault::RANGE_HOLDS_NETWORK, subnet.network(), "the network address"),
        (fault::RANGE_HOLDS_BROADCAST, subnet.broadcast(), "the broadcast address"),
    ] {
        if net.contains(&address) {
            reasons.push((code, format!("{net} holds {whose} {address}")));
        }
    }
    reasons
}

fn stray_gateway(question: &Question) -> Option<Reason> {
    let (gateway, subnet) = (question.gateway, question.address.trunc());
    let why = if !subnet.contains(&gateway) {
        format!("the gateway {gateway} is not in {subnet}")
    } else if gateway == question.address.addr() {
        format!("the gateway {gateway} is the container's own address")
    } else if subnet.prefix_len() < 31 && (gateway == subnet.network() || gateway == subnet.broadcast()) {
        format!("the gateway {gateway} is the network or broadcast address of {subnet}")
    } else {
        return None;
    };
    Some((fault::GATEWAY_UNUSABLE, why))
}

fn shown(question: &Question) -> String {
    let offset = match question.offset {
        Offset::By(offset) => Ipv4Addr::from(offset).to_string(),
        Offset::Auto => "auto".to_owned(),
    };
    format!("{} + {offset} /{}", question.address, question.size)
}

/// One fault out of reasons in order of precedence.
pub(crate) fn refuse(object: &str, reasons: Vec<Reason>) -> Option<Fault> {
    let (code, _) = reasons.first()?;
    let words: Vec<&str> = reasons.iter().map(|(_, words)| words.as_str()).collect();
    let mut fault = code.cannot("compute", object, words.join("; ")).hint(cure(*code));
    fault.causes = reasons.iter().map(|(code, _)| code.name.to_owned()).collect();
    Some(fault)
}

fn cure(code: Code) -> &'static str {
    match code {
        fault::ADDRESS_INVALID => {
            "give --address as a.b.c.d/n and --gateway as a.b.c.d, such as 172.17.0.5/16 and 172.17.0.1"
        }
        fault::OFFSET_INVALID => {
            "give DOCKER_NETWORK_OFFSET (--offset) as a.b.c.d, such as 0.0.1.0, or as auto"
        }
        fault::SIZE_INVALID => "give DOCKER_NETWORK_SIZE (--size) as a prefix length, such as 24",
        fault::RANGE_WRAPS => "choose a smaller DOCKER_NETWORK_OFFSET",
        fault::RANGE_OUTSIDE_SUBNET => "choose a DOCKER_NETWORK_SIZE above the subnet's prefix length",
        fault::RANGE_TOO_SMALL => "choose a DOCKER_NETWORK_SIZE of 30 or less",
        fault::GATEWAY_UNUSABLE => "give the gateway of the container's own subnet",
        _ => {
            "choose a DOCKER_NETWORK_OFFSET that leads to a free part of the subnet, such as 0.0.1.0, or auto"
        }
    }
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
        // The size is refused for itself, with its own reason.
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
            .cannot("compute", shown(question), room)
            .cause(fault::OFFSET_AUTO_NO_ROOM.name)
            .hint("choose a longer DOCKER_NETWORK_SIZE, or give the outer network a smaller --ip-range"));
    }
    // At most the subnet's last range: it fits into 32 bits.
    Ok(u32::try_from((reserved - 1 + host) * block - host).unwrap_or(u32::MAX))
}

#[cfg(test)]
#[path = "range_tests.rs"]
mod tests;
