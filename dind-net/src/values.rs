//! Values that are typed, one by one. What is wrong with one is said in words that follow its name.

use dind_contract::cli::given;
use dind_contract::{Code, Fault, value};
use ipnet::{IpNet, Ipv4Net};
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

pub(crate) fn major(text: &str) -> Result<u32, String> {
    let digits = text.split(['.', '-', '+']).next().unwrap_or_default();
    digits.parse().map_err(|_| "it does not start with a number".to_owned())
}
