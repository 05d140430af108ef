//! The names that a server's certificate is valid for, and `DOCKER_TLS_SAN`, in which users add some.

use crate::fault;
use dind_contract::Fault;
use std::fmt;
use std::net::IpAddr;

/// Longest name of a host, and of one of its labels (RFC 1035, 2.3.4).
const LONGEST: (usize, usize) = (253, 63);

/// A name that clients may call the engine by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// The name of a host.
    Dns(String),
    /// An address.
    Ip(IpAddr),
}

impl fmt::Display for Name {
    /// As `DOCKER_TLS_SAN` has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => write!(f, "DNS:{name}"),
            Self::Ip(address) => write!(f, "IP:{address}"),
        }
    }
}

/// Reads the syntax of docker:dind, which is OpenSSL's: `DNS:name,IP:address`, separated by commas or spaces.
///
/// # Errors
/// [`fault::TLS_SAN_INVALID`]: the first entry that is something else.
pub fn parse(text: &str) -> Result<Vec<Name>, Fault> {
    let entries = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|entry| !entry.is_empty());
    entries.map(|entry| parse_one(entry).map_err(|cause| invalid(entry, cause))).collect()
}

fn parse_one(entry: &str) -> Result<Name, &'static str> {
    let (kind, value) = entry.split_once(':').ok_or("expected `DNS:NAME` or `IP:ADDRESS`")?;
    match kind.to_ascii_uppercase().as_str() {
        "DNS" if value.parse::<IpAddr>().is_ok() => Err("an address needs `IP:`, or no client accepts it"),
        "DNS" if is_host_name(value) => Ok(Name::Dns(value.to_ascii_lowercase())),
        "DNS" => Err("it is not the name of a host"),
        "IP" => value.parse().map(Name::Ip).map_err(|_| "it is not an address"),
        _ => Err("expected `DNS:NAME` or `IP:ADDRESS`"),
    }
}

/// Whether a text can be the name of a host in a certificate; its first label may be `*`. Underscores are no part of host names, but
/// Compose makes them.
pub(super) fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        let known = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        !label.is_empty() && label.len() <= LONGEST.1 && label.chars().all(known)
    };
    text.len() <= LONGEST.0 && text.strip_prefix("*.").unwrap_or(text).split('.').all(is_label)
}

fn invalid(entry: &str, cause: &str) -> Fault {
    let fault = fault::TLS_SAN_INVALID.invalid("DOCKER_TLS_SAN", entry, cause);
    fault.hint("write more names for the engine as DOCKER_TLS_SAN=DNS:ci.example.com,IP:192.0.2.7")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_as_docker_dind_takes_them() {
        let names = parse("DNS:ci.example.com,IP:192.0.2.7, dns:*.CI_1 ip:fd00::7,,").unwrap();
        let texts: Vec<_> = names.iter().map(Name::to_string).collect();
        assert_eq!(texts, ["DNS:ci.example.com", "IP:192.0.2.7", "DNS:*.ci_1", "IP:fd00::7"]);
        assert_eq!(parse(" ").unwrap(), []);
    }

    #[test]
    fn what_no_client_could_use_is_refused() {
        for text in [
            "ci.example.com",
            "DNS:",
            "DNS:a..b",
            "DNS:a b c,URI:x",
            "DNS:10.0.0.1",
            "DNS:a\u{e9}",
            "IP:10.0.0.0/24",
            "IP:node",
            "email:me@example.com",
            &format!("DNS:{}", "a".repeat(64)),
            &format!("DNS:{}a", "a.".repeat(127)),
        ] {
            let fault = parse(text).unwrap_err();
            assert_eq!(fault.code, fault::TLS_SAN_INVALID, "{text}");
            assert!(fault.message.starts_with("invalid DOCKER_TLS_SAN value `"), "{fault}");
        }
    }
}
