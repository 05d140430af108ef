//! Values that are typed, one by one. What is wrong with one is said in words that follow its name.

use dind_contract::cli::given;
use dind_contract::{Code, Fault, value};
use ipnet::{IpNet, Ipv4Net};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// RFC 791: every IPv4 link carries packets of 68 bytes.
const MTU_LEAST: u32 = 68;
/// The most that the kernel gives a link.
const MTU_MOST: u32 = 65_535;

/// Whether something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// Where it can be.
    Auto,
    /// Or the run is refused.
    On,
    /// Not at all.
    Off,
}

/// Where the inner range lies, counted from the container's own address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offset<A> {
    /// So many addresses further, written as an address.
    By(A),
    /// Wherever the own address leads; see [`crate::plan::range::automatic`].
    Auto,
}

/// Which program is called `iptables`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// `iptables-nft`, over nf_tables.
    Nft,
    /// `iptables-legacy`, over ip_tables.
    Legacy,
}

/// What the engine writes its firewall rules with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FirewallBackend {
    /// The program `iptables`.
    Iptables,
    /// The program `nft`, from engine 29 on.
    Nftables,
}

/// A mark of packets: the bits of the mask, and what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The bits that are set.
    pub value: u32,
    /// The bits that count.
    pub mask: u32,
}

impl Mark {
    /// One bit that neither Kubernetes (14, 15) nor Calico (16 to 31), Cilium (8 to 11) nor Istio has for itself.
    pub const OURS: Self = Self { value: 1 << 13, mask: 1 << 13 };
}

/// As dockerd's `bridge-accept-fwmark` has it.
impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}/{:#x}", self.value, self.mask)
    }
}

/// One of the engine's `default-address-pools`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressPool {
    /// The network.
    pub base: IpNet,
    /// Prefix length of the networks that are cut from it.
    pub size: u8,
}

/// A value that some parser accepts, or a fault that says what was expected.
pub(crate) fn parse<T>(
    text: Option<&String>,
    parser: impl Fn(&str) -> Result<T, String>,
    code: Code,
    variable: &str,
    expected: &str,
) -> Result<Option<T>, Fault> {
    let Some(text) = given(text) else { return Ok(None) };
    parser(text).map(Some).map_err(|why| {
        code.invalid(variable, text, why).hint(format!("set {variable} to {expected}, or leave it unset"))
    })
}

pub(crate) fn mtu(text: &str) -> Result<u32, String> {
    let mtu = text.parse::<u32>().ok().filter(|mtu| (MTU_LEAST..=MTU_MOST).contains(mtu));
    mtu.ok_or_else(|| format!("expected a number from {MTU_LEAST} to {MTU_MOST}"))
}

pub(crate) fn dns(text: &str) -> Result<Vec<IpAddr>, String> {
    let words = text.split([',', ' ']).filter(|word| !word.is_empty());
    let server = |word: &str| match word.parse::<IpAddr>() {
        Ok(address) if address.is_loopback() || address.is_unspecified() => {
            Err(format!("inner containers cannot reach {address}"))
        }
        Ok(address) => Ok(address),
        Err(_) => Err(format!("`{word}` is not an address")),
    };
    words.map(server).collect()
}

pub(crate) fn pool(text: &str) -> Result<Ipv4Net, String> {
    match text.parse::<Ipv4Net>() {
        Ok(pool) if pool.addr() != pool.network() => {
            Err(format!("its host bits are set; the network is {}", pool.trunc()))
        }
        Ok(pool) if pool.prefix_len() > 24 => Err("it is smaller than a /24".to_owned()),
        Ok(pool) if pool.prefix_len() < 8 => Err("it is larger than any private network".to_owned()),
        Ok(pool) => Ok(pool),
        Err(_) => Err("expected an IPv4 network".to_owned()),
    }
}

/// Each is `base=NETWORK,size=PREFIX`. dockerd takes a base with host bits, and without a size as one network.
pub(crate) fn address_pools(text: &str) -> Result<Vec<AddressPool>, String> {
    text.split_whitespace().map(address_pool).collect()
}

fn address_pool(text: &str) -> Result<AddressPool, String> {
    let (mut base, mut size) = (None, None);
    for part in text.split(',') {
        match part.split_once('=') {
            Some(("base", net)) => base = net.parse::<IpNet>().ok().map(|net| net.trunc()),
            Some(("size", prefix)) => size = Some(prefix.parse::<u8>().map_err(|_| not_a_size(prefix))?),
            _ => return Err(format!("`{part}` is neither base= nor size=")),
        }
    }
    let base = base.ok_or_else(|| format!("`{text}` has no network as its base"))?;
    let size = size.unwrap_or(base.prefix_len());
    if !(base.prefix_len()..=base.max_prefix_len()).contains(&size) {
        return Err(not_a_size(&size.to_string()) + &format!(" of networks in {base}"));
    }
    Ok(AddressPool { base, size })
}

fn not_a_size(text: &str) -> String {
    format!("`{text}` is not the prefix length")
}

pub(crate) fn ipv6(text: &str) -> Result<Switch, String> {
    match (text, value::boolean(text)) {
        ("auto", _) => Ok(Switch::Auto),
        (_, Ok(true)) => Ok(Switch::On),
        (_, Ok(false)) => Ok(Switch::Off),
        (_, Err(_)) => Err("expected `auto`, `true` or `false`".to_owned()),
    }
}

/// As many addresses in IPv6.
pub(crate) fn widened(offset: Ipv4Addr) -> Ipv6Addr {
    u128::from(u32::from(offset)).into()
}

pub(crate) fn offset6(text: &str) -> Result<Offset<Ipv6Addr>, String> {
    match (text, text.parse::<IpAddr>()) {
        ("auto", _) => Ok(Offset::Auto),
        (_, Ok(IpAddr::V6(offset))) => Ok(Offset::By(offset)),
        (_, Ok(IpAddr::V4(offset))) => Ok(Offset::By(widened(offset))),
        (_, Err(_)) => Err("expected an offset such as ::100, or `auto`".to_owned()),
    }
}

pub(crate) fn size6(text: &str) -> Result<u8, String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let size = text.parse::<u8>().ok().filter(|size| digits && *size <= 128);
    size.ok_or_else(|| "expected a number from 0 to 128".to_owned())
}

pub(crate) fn iptables(text: &str) -> Result<Option<Backend>, String> {
    match text {
        "auto" => Ok(None),
        "nft" => Ok(Some(Backend::Nft)),
        "legacy" => Ok(Some(Backend::Legacy)),
        _ => Err("expected `auto`, `nft` or `legacy`".to_owned()),
    }
}

pub(crate) fn firewall(text: &str) -> Result<Option<FirewallBackend>, String> {
    match text {
        "auto" => Ok(None),
        "iptables" => Ok(Some(FirewallBackend::Iptables)),
        "nftables" => Ok(Some(FirewallBackend::Nftables)),
        _ => Err("expected `auto`, `iptables` or `nftables`".to_owned()),
    }
}

/// `MARK` or `MARK/MASK`, numbers as dockerd takes them. One that every packet has, or none can have, opens too much or nothing.
pub(crate) fn mark(text: &str) -> Result<Mark, String> {
    let (value, mask) = text.split_once('/').unwrap_or((text, "0xffffffff"));
    let number = |word| number32(word).ok_or_else(|| format!("`{word}` is not a number of 32 bits"));
    match (number(value)?, number(mask)?) {
        (value, mask) if value & !mask != 0 => Err("it has bits outside its mask".to_owned()),
        (0, _) => Err("packets without a mark would have it".to_owned()),
        (value, mask) => Ok(Mark { value, mask }),
    }
}

/// As Go's `strconv.ParseUint` with base 0.
fn number32(word: &str) -> Option<u32> {
    let lower = word.to_ascii_lowercase();
    let (digits, radix) = match lower.as_bytes() {
        [b'0', b'x', ..] => (&lower[2..], 16),
        [b'0', b'b', ..] => (&lower[2..], 2),
        [b'0', b'o', ..] => (&lower[2..], 8),
        [b'0', _, ..] => (&lower[1..], 8),
        _ => (lower.as_str(), 10),
    };
    u32::from_str_radix(digits, radix).ok().filter(|_| !digits.starts_with('+'))
}

pub(crate) fn major(text: &str) -> Result<u32, String> {
    dind_system::engine::major(text).ok_or_else(|| "it does not start with a number".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_those_that_dockerd_takes_and_mean_something() {
        for (text, expected) in [
            ("0x2000/0x2000", Some((0x2000, 0x2000))),
            ("1", Some((1, u32::MAX))),
            ("010/0xff", Some((8, 0xff))),
            ("0b11/0B111", Some((3, 7))),
            ("0o17", Some((15, u32::MAX))),
            ("0", None),
            ("0/0xff", None),
            ("0x100/0xff", None),
            ("", None),
            ("+1", None),
            ("0x1ffffffff", None),
            ("1/", None),
            ("one", None),
        ] {
            let found = mark(text).ok().map(|mark| (mark.value, mark.mask));
            assert_eq!(found, expected, "{text}");
        }
        assert_eq!(Mark::OURS.to_string(), "0x2000/0x2000");
        assert_eq!(mark(&Mark::OURS.to_string()), Ok(Mark::OURS));
    }
}
