//! `plan --address` with an address of IPv6: the range of bridged mode out of flags alone.

use crate::fault::{self, Cause};
use crate::options::{self, Options};
use crate::plan::range::Question;
use dind_contract::Fault;
use ipnet::Ipv6Net;
use std::net::Ipv6Addr;

/// Whether an address is meant to be one of IPv6.
#[must_use]
pub fn is_asked(address: Option<&String>) -> bool {
    address.is_some_and(|address| address.contains(':'))
}

/// The calculator's question.
///
/// # Errors
/// Address and gateway that cannot be parsed, or no offset.
pub fn question(
    address: Option<&String>,
    gateway: Option<&String>,
    options: &Options,
) -> Result<Question<Ipv6Net>, Fault> {
    let [address, gateway] = [address, gateway].map(|text| text.map(|text| text.trim()).unwrap_or_default());
    let hint = "give --address as a::b/n and --gateway as a::b, such as fd77::5/64 and fd77::1";
    let wrong = |words: String| Cause::new(fault::ADDRESS_INVALID, words, hint);
    let own = address.parse::<Ipv6Net>();
    let own = own.map_err(|_| wrong(format!("--address `{address}` is not an IPv6 address with a prefix")));
    let outer = gateway.parse::<Ipv6Addr>();
    let outer = outer.map_err(|_| wrong(format!("--gateway `{gateway}` is not an IPv6 address")));
    let missing = options.offset.is_none() && options.offset6.is_none();
    let missing = missing.then(|| options::offset_invalid("no offset is given"));
    let causes = [own.as_ref().err(), outer.as_ref().err(), missing.as_ref()];
    let causes: Vec<_> = causes.into_iter().flatten().cloned().collect();
    let (offset, size) = options.range6();
    match (own, outer, fault::of_causes("cannot compute the range", &causes)) {
        (_, _, Some(fault)) => Err(fault),
        (Ok(address), Ok(gateway), None) => Ok(Question { address, gateway, offset, size }),
        // Never reached: what cannot be parsed is a cause.
        (own, outer, None) => {
            Err(fault::ADDRESS_INVALID.failed("cannot compute the range", format!("{own:?} {outer:?}")))
        }
    }
}
