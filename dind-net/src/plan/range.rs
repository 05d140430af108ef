//! The calculator of bridged mode: which addresses of the outer subnet the inner containers get. Integers only, of 128 bits for
//! both families; what differs between these is in [`crate::plan::family`].

use crate::fault::{self, Cause};
use crate::plan::family::Family;
use crate::values::Offset;
use dind_contract::Fault;

/// What the calculation starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question<N: Family> {
    /// The container's own address, with the subnet's prefix.
    pub address: N,
    /// The outer network's gateway.
    pub gateway: N::Address,
    /// How far from the own address the range lies.
    pub offset: Offset<N::Address>,
    /// The range's prefix length: 0 to 32, or to 128 in IPv6.
    pub size: u8,
}

/// A range that passed all checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range<N: Family> {
    /// The addresses of inner containers.
    pub net: N,
    /// The offset that led there, also where `auto` was asked for.
    pub offset: N::Address,
}

/// The range: the `size` network around host part + offset, inside the subnet.
///
/// # Errors
/// The first cause that holds is the code; all that hold are in `causes`, by code, and in the message, in words.
pub fn compute<N: Family>(question: &Question<N>) -> Result<Range<N>, Fault> {
    let offset = match question.offset {
        Offset::By(offset) => offset,
        Offset::Auto => automatic(question)?,
    };
    let net = place(question.address, offset, question.size);
    let mut causes = Vec::new();
    if net.is_none() {
        let (address, subnet) = (question.address.own(), question.address.subnet());
        let words = format!("{address} + {offset} is past the end of {subnet}");
        causes.push(Cause::new(fault::RANGE_WRAPS, words, format!("choose a smaller {}", N::OFFSET)));
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
fn place<N: Family>(address: N, offset: N::Address, size: u8) -> Option<N> {
    let mask = address.host_mask();
    let sum = address.host().checked_add(N::number(offset)).filter(|sum| *sum <= mask)?;
    let network = N::number(address.own()) & !mask;
    N::net(N::address(network | sum), size).map(N::subnet)
}

fn check_size<N: Family>(question: &Question<N>) -> Vec<Cause> {
    let (subnet, size) = (question.address.subnet(), question.size);
    let mut causes = Vec::new();
    if size <= subnet.prefix() {
        let words = format!("a /{size} is not smaller than the subnet {subnet}");
        let hint = format!("choose a {} above the subnet's prefix length", N::SIZE);
        causes.push(Cause::new(fault::RANGE_OUTSIDE_SUBNET, words, hint));
    }
    if size > N::LONGEST {
        let words = format!("a /{size} has no room for containers");
        let hint = format!("choose a {} of {} or less", N::SIZE, N::LONGEST);
        causes.push(Cause::new(fault::RANGE_TOO_SMALL, words, hint));
    }
    causes
}

fn check_addresses<N: Family>(question: &Question<N>, net: N) -> Vec<Cause> {
    let (offset, example) = (N::OFFSET, N::EXAMPLE);
    let hint =
        format!("choose a {offset} that leads to a free part of the subnet, such as {example}, or auto");
    let mut avoided = vec![
        (fault::RANGE_HOLDS_GATEWAY, question.gateway, "the gateway"),
        (fault::RANGE_HOLDS_SELF, question.address.own(), "the container's own address"),
    ];
    avoided.extend(question.address.reserved());
    let held = avoided.into_iter().filter(|(_, address, _)| net.holds(*address));
    held.map(|(code, address, whose)| Cause::new(code, format!("{net} holds {whose} {address}"), &*hint))
        .collect()
}

fn check_gateway<N: Family>(question: &Question<N>) -> Option<Cause> {
    let (gateway, address) = (question.gateway, question.address);
    let words = if gateway == address.own() {
        format!("the gateway {gateway} is the container's own address")
    } else {
        address.misplaced(gateway)?
    };
    Some(Cause::new(fault::GATEWAY_UNUSABLE, words, "give the gateway of the container's own subnet"))
}

fn what<N: Family>(question: &Question<N>) -> String {
    let offset = match question.offset {
        Offset::By(offset) => offset.to_string(),
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
pub fn automatic<N: Family>(question: &Question<N>) -> Result<N::Address, Fault> {
    let (address, size) = (question.address, question.size);
    let subnet = address.subnet();
    if size <= subnet.prefix() || size > N::LONGEST {
        // The size itself is refused, with its own cause.
        return Ok(N::address(0));
    }
    // N·B; a subnet of all IPv6 addresses, whose number has 129 bits, is none that anybody has.
    let addresses = subnet.host_mask().wrapping_add(1);
    let block = 1u128 << (N::BITS - size);
    let nodes = (addresses / (block + 1)).saturating_sub(1);
    let reserved = (nodes + 1).div_ceil(block);
    let host = address.host();
    if host == 0 || host > nodes {
        let room = format!(
            "{subnet} has /{size} ranges for the host numbers 1 to {nodes}, and {} has number {host}",
            address.own()
        );
        return Err(fault::OFFSET_AUTO_NO_ROOM
            .failed(what(question), room)
            .cause(fault::OFFSET_AUTO_NO_ROOM.name)
            .hint(format!("choose a longer {}, or {}", N::SIZE, N::ROOM)));
    }
    // At most the subnet's last range.
    Ok(N::address((reserved - 1 + host) * block - host))
}

#[cfg(test)]
#[path = "range_tests.rs"]
mod tests;
