//! `plan --address`: the range of bridged mode out of flags alone. Nothing of the machine is read.

use crate::cli::Texts;
use crate::fault::{self, Cause};
use crate::options;
use crate::plan::range::Question;
use dind_contract::Fault;
use dind_contract::cli::given;
use ipnet::Ipv4Net;
use std::net::Ipv4Addr;

/// The calculator's question; nothing where neither flag is given.
///
/// # Errors
/// All of address, offset and size that cannot be parsed.
pub fn question(
    address: Option<&String>,
    gateway: Option<&String>,
    texts: &Texts,
) -> Result<Option<Question<Ipv4Net>>, Fault> {
    let (address, gateway) = (given(address), given(gateway));
    if address.or(gateway).is_none() {
        return Ok(None);
    }
    let (own, outer) = (parse_address(address), parse_gateway(gateway));
    let (offset, size) = (options::offset(texts), options::size(texts));
    let offset = offset.and_then(|given| given.ok_or_else(|| options::offset_invalid("no offset is given")));
    let causes = [
        invalid_address(own.as_ref().err(), outer.as_ref().err()),
        offset.as_ref().err().cloned(),
        size.as_ref().err().cloned(),
    ];
    match (own, outer, offset, size) {
        (Ok(address), Ok(gateway), Ok(offset), Ok(size)) => {
            Ok(Some(Question { address, gateway, offset, size }))
        }
        _ => {
            let causes: Vec<_> = causes.into_iter().flatten().collect();
            fault::of_causes("cannot compute the range", &causes).map_or(Ok(None), Err)
        }
    }
}

fn parse_address(text: Option<&str>) -> Result<Ipv4Net, String> {
    let text = text.ok_or("--address is missing")?;
    text.parse().map_err(|_| format!("--address `{text}` is not an IPv4 address with a prefix"))
}

fn parse_gateway(text: Option<&str>) -> Result<Ipv4Addr, String> {
    let text = text.ok_or("--gateway is missing")?;
    text.parse().map_err(|_| format!("--gateway `{text}` is not an IPv4 address"))
}

/// Both flags have one code.
fn invalid_address(address: Option<&String>, gateway: Option<&String>) -> Option<Cause> {
    let words: Vec<_> = [address, gateway].into_iter().flatten().cloned().collect();
    let hint = "give --address as a.b.c.d/n and --gateway as a.b.c.d, such as 172.17.0.5/16 and 172.17.0.1";
    (!words.is_empty()).then(|| Cause::new(fault::ADDRESS_INVALID, words.join("; "), hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calculator_reports_all_that_it_cannot_parse() {
        let texts =
            Texts { offset: Some("1.2.3".to_owned()), size: Some("33".to_owned()), ..Texts::default() };
        let fault = question(Some(&"172.17.0.5".to_owned()), None, &texts).unwrap_err();
        assert_eq!(fault.causes, ["address-invalid", "offset-invalid", "size-invalid"]);
        let fault = question(Some(&"172.17.0.5/16".to_owned()), None, &Texts::default()).unwrap_err();
        assert_eq!(fault.causes, ["address-invalid", "offset-invalid"]);
        assert_eq!(question(None, Some(&" ".to_owned()), &texts), Ok(None), "an empty flag is unset");
    }
}
