//! What was typed, understood: a wrong value is refused before anything is read or changed.

use crate::cli::Texts;
use crate::fault;
use crate::range::{Offset, Question, refuse};
use dind_contract::cli::given;
use dind_contract::{Code, Fault, value};
use ipnet::Ipv4Net;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

/// The bridge that dockerd makes and looks for by default.
pub const DOCKER_BRIDGE: &str = "docker0";
/// Prefix length of the inner range by default.
pub const DEFAULT_SIZE: u8 = 24;
/// RFC 791: every IPv4 link carries packets of 68 bytes.
const MTU_LEAST: u32 = 68;
/// The most that the kernel gives a link.
const MTU_MOST: u32 = 65_535;

/// Which program writes the engine's firewall rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// `iptables-nft`, over nf_tables.
    Nft,
    /// `iptables-legacy`, over ip_tables.
    Legacy,
}

/// All options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bridged mode, and where its range lies.
    pub offset: Option<Offset>,
    /// Prefix length of the range.
    pub size: u8,
    /// Name of the bridge.
    pub bridge: String,
    /// Name of the uplink.
    pub uplink: Option<String>,
    /// Bytes.
    pub mtu: Option<u32>,
    /// Name servers of inner containers.
    pub dns: Vec<IpAddr>,
    /// The network to cut bridge and pools from.
    pub pool: Option<Ipv4Net>,
    /// Whether the range is probed.
    pub probe: bool,
    /// The backend that is forced.
    pub iptables: Option<Backend>,
    /// Whether forwarding is switched on ahead of dockerd.
    pub forward: bool,
    /// Major version of the inner engine.
    pub engine: Option<u32>,
    /// Folder of the journal and the iptables links.
    pub state: PathBuf,
}

impl Options {
    /// Understands what was typed.
    ///
    /// # Errors
    /// The first value that is wrong; offset and size are told together.
    pub fn parse(texts: &Texts) -> Result<Self, Fault> {
        let (offset, size) = (offset(texts), size(texts));
        let reasons: Vec<_> =
            [offset.as_ref().err(), size.as_ref().err()].into_iter().flatten().cloned().collect();
        if let Some(fault) = refuse("the range", reasons) {
            return Err(fault);
        }
        Ok(Self {
            offset: offset.ok().flatten(),
            size: size.unwrap_or(DEFAULT_SIZE),
            bridge: bridge(texts)?,
            uplink: given(texts.uplink.as_ref()).map(str::to_owned),
            mtu: mtu(texts)?,
            dns: dns(texts)?,
            pool: pool(texts)?,
            probe: read(
                given(texts.probe.as_ref()),
                value::boolean,
                fault::PROBE_INVALID,
                "DIND_NET_PROBE",
                "true or false",
            )?
            .unwrap_or(true),
            iptables: read(
                given(texts.iptables.as_ref()),
                backend,
                fault::IPTABLES_INVALID,
                "DIND_NET_IPTABLES",
                "auto, nft or legacy",
            )?
            .flatten(),
            forward: read(
                given(texts.forward.as_ref()),
                value::boolean,
                fault::FORWARD_INVALID,
                "DIND_NET_FORWARD",
                "true or false",
            )?
            .unwrap_or(false),
            engine: read(
                given(texts.engine_version.as_ref()),
                major,
                fault::ENGINE_VERSION_INVALID,
                "DIND_ENGINE_VERSION",
                "24.0.7 or the like",
            )?,
            state: texts.state.clone(),
        })
    }
}

/// The calculator's question, out of flags alone.
///
/// # Errors
/// All of address, offset and size that cannot be read.
pub fn question(
    address: Option<&String>,
    gateway: Option<&String>,
    texts: &Texts,
) -> Result<Question, Fault> {
    let no = |code: Code, words: String| -> (Code, String) { (code, words) };
    let text = |text| given(text).unwrap_or_default();
    let own = text(address).parse::<Ipv4Net>();
    let way = text(gateway).parse::<Ipv4Addr>();
    let (offset, size) = (offset(texts), size(texts));
    let mut reasons = Vec::new();
    if own.is_err() {
        reasons.push(no(
            fault::ADDRESS_INVALID,
            format!("--address is `{}`, no IPv4 address with a prefix", text(address)),
        ));
    }
    if way.is_err() {
        let words = format!("--gateway is `{}`, no IPv4 address", text(gateway));
        match reasons.last_mut() {
            Some((_, other)) => *other = format!("{other}; {words}"),
            None => reasons.push(no(fault::ADDRESS_INVALID, words)),
        }
    }
    match &offset {
        Ok(Some(_)) => {}
        Ok(None) => reasons.push(no(fault::OFFSET_INVALID, "no offset is given".to_owned())),
        Err(reason) => reasons.push(reason.clone()),
    }
    reasons.extend(size.as_ref().err().cloned());
    match (own, way, offset, size) {
        (Ok(address), Ok(gateway), Ok(Some(offset)), Ok(size)) => {
            Ok(Question { address, gateway, offset, size })
        }
        _ => Err(refuse("the range", reasons)
            .unwrap_or_else(|| fault::ADDRESS_INVALID.cannot("compute", "the range", "no"))),
    }
}

type Read<T> = Result<T, (Code, String)>;

fn offset(texts: &Texts) -> Read<Option<Offset>> {
    match given(texts.offset.as_ref()) {
        None => Ok(None),
        Some("auto") => Ok(Some(Offset::Auto)),
        Some(text) => match text.parse::<Ipv4Addr>() {
            Ok(offset) => Ok(Some(Offset::By(offset.into()))),
            Err(_) => {
                Err((fault::OFFSET_INVALID, format!("the offset `{text}` is neither like 0.0.1.0 nor auto")))
            }
        },
    }
}

fn size(texts: &Texts) -> Read<u8> {
    let Some(text) = given(texts.size.as_ref()) else { return Ok(DEFAULT_SIZE) };
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse::<u8>()
        .ok()
        .filter(|size| digits && *size <= 32)
        .ok_or_else(|| (fault::SIZE_INVALID, format!("the size `{text}` is no number from 0 to 32")))
}

/// A value that some parser understands, or a fault that says what was expected.
fn read<T>(
    text: Option<&str>,
    parse: impl Fn(&str) -> Result<T, String>,
    code: Code,
    variable: &str,
    expected: &str,
) -> Result<Option<T>, Fault> {
    text.map(&parse).transpose().map_err(|why| {
        code.cannot("use", format!("{variable}={}", text.unwrap_or_default()), why)
            .hint(format!("set {variable} to {expected}, or leave it unset"))
    })
}

/// dev_valid_name() of the kernel, and no character that a shell or a file of settings would trip over.
fn bridge(texts: &Texts) -> Result<String, Fault> {
    let valid = |name: &str| {
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if plain && name.len() < nix::libc::IFNAMSIZ && !name.starts_with(['-', '.']) {
            Ok(name.to_owned())
        } else {
            Err("it is no name of a link".to_owned())
        }
    };
    let text = given(texts.bridge.as_ref());
    let name = read(
        text,
        valid,
        fault::BRIDGE_INVALID,
        "DIND_NET_BRIDGE",
        "1 to 15 letters, digits, dashes, underscores or dots",
    )?;
    let name = name.unwrap_or_else(|| DOCKER_BRIDGE.to_owned());
    if name != DOCKER_BRIDGE && given(texts.offset.as_ref()).is_none() {
        return Err(fault::BRIDGE_INVALID
            .cannot("use", &name, "in default mode dockerd makes the bridge, and calls it docker0")
            .hint("leave DIND_NET_BRIDGE unset, or choose bridged mode with DOCKER_NETWORK_OFFSET"));
    }
    Ok(name)
}

fn mtu(texts: &Texts) -> Result<Option<u32>, Fault> {
    let valid = |text: &str| match text.parse::<u32>() {
        Ok(mtu) if (MTU_LEAST..=MTU_MOST).contains(&mtu) => Ok(mtu),
        _ => Err(format!("it is no number from {MTU_LEAST} to {MTU_MOST}")),
    };
    read(
        given(texts.mtu.as_ref()),
        valid,
        fault::MTU_INVALID,
        "DIND_NET_MTU",
        "a number of bytes such as 1400",
    )
}

fn dns(texts: &Texts) -> Result<Vec<IpAddr>, Fault> {
    let valid = |text: &str| {
        let words = text.split([',', ' ']).filter(|word| !word.is_empty());
        words
            .map(|word| match word.parse::<IpAddr>() {
                Ok(address) if address.is_loopback() || address.is_unspecified() => {
                    Err(format!("inner containers cannot reach {address}"))
                }
                Ok(address) => Ok(address),
                Err(_) => Err(format!("`{word}` is no address")),
            })
            .collect::<Result<Vec<_>, _>>()
    };
    let servers = read(
        given(texts.dns.as_ref()),
        valid,
        fault::DNS_INVALID,
        "DIND_NET_DNS",
        "addresses such as 10.0.0.2,10.0.0.3",
    )?;
    Ok(servers.unwrap_or_default())
}

fn pool(texts: &Texts) -> Result<Option<Ipv4Net>, Fault> {
    let valid = |text: &str| match text.parse::<Ipv4Net>() {
        Ok(pool) if pool.addr() != pool.network() => {
            Err(format!("its host bits are set; the network is {}", pool.trunc()))
        }
        Ok(pool) if pool.prefix_len() > 24 => Err("it is too small; a /24 is the least".to_owned()),
        Ok(pool) if pool.prefix_len() < 8 => Err("it is larger than any private network".to_owned()),
        Ok(pool) => Ok(pool),
        Err(_) => Err("it is no IPv4 network".to_owned()),
    };
    read(
        given(texts.pool.as_ref()),
        valid,
        fault::POOL_INVALID,
        "DIND_NET_POOL",
        "a network such as 10.201.0.0/16",
    )
}

fn backend(text: &str) -> Result<Option<Backend>, String> {
    match text {
        "auto" => Ok(None),
        "nft" => Ok(Some(Backend::Nft)),
        "legacy" => Ok(Some(Backend::Legacy)),
        _ => Err("there is no such backend".to_owned()),
    }
}

fn major(text: &str) -> Result<u32, String> {
    let digits = text.split(['.', '-', '+']).next().unwrap_or_default();
    digits.parse().map_err(|_| "it does not start with a number".to_owned())
}

#[cfg(test)]
#[path = "options_tests.rs"]
mod tests;
