//! The name servers that dockerd would look at: resolv.conf(5).

use crate::fault;
use dind_contract::Fault;
use dind_system::Root;
use std::net::IpAddr;

const RESOLV_CONF: &str = "/etc/resolv.conf";
/// The upstream servers of systemd-resolved, whose stub is [`STUB`].
const RESOLVED: &str = "/run/systemd/resolve/resolv.conf";
const STUB: [u8; 4] = [127, 0, 0, 53];

/// What a resolv.conf says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvConf {
    /// The name servers.
    pub servers: Vec<IpAddr>,
    /// Options of the resolver, such as `ndots:0`.
    pub options: Vec<String>,
}

impl ResolvConf {
    /// Reads what dockerd would take: the upstream servers of systemd-resolved where its stub is the only server (moby,
    /// `resolvconf.Path`).
    ///
    /// # Errors
    /// [`fault::READ_FAILED`].
    pub fn observe(root: &Root) -> Result<Self, Fault> {
        let read = |path: &str| {
            let text = root.read_opt(path).map_err(|error| fault::unreadable(path, error))?;
            Ok(Self::parse(&text.unwrap_or_default()))
        };
        let found = read(RESOLV_CONF)?;
        if found.servers == [IpAddr::from(STUB)] {
            let upstream = read(RESOLVED)?;
            if !upstream.servers.is_empty() {
                return Ok(upstream);
            }
        }
        Ok(found)
    }

    /// Parses a resolv.conf: its `nameserver` lines, where a zone such as `%eth0` is cut off, and the words of its last
    /// `options` line.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self { servers: servers(text), options: options(text) }
    }
}

fn options(text: &str) -> Vec<String> {
    let mut lines = text.lines().filter_map(|line| line.trim_start().strip_prefix("options"));
    let last = lines.rfind(|rest| rest.starts_with(char::is_whitespace));
    last.map(|rest| rest.split_whitespace().map(str::to_owned).collect()).unwrap_or_default()
}

fn servers(text: &str) -> Vec<IpAddr> {
    let mut servers = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if words.next() == Some("nameserver")
            && let Some(word) = words.next()
            && let Ok(address) = word.split('%').next().unwrap_or(word).parse()
        {
            servers.push(address);
        }
    }
    servers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_and_options() {
        let text = "# nameserver 1.1.1.1\nsearch example\nnameserver 10.0.0.2\n\tnameserver\tfe80::1%eth0\nnameserver x\nnameserver";
        let expected: Vec<IpAddr> = vec!["10.0.0.2".parse().unwrap(), "fe80::1".parse().unwrap()];
        assert_eq!(ResolvConf::parse(text), ResolvConf { servers: expected, options: Vec::new() });
        let options = ResolvConf::parse("options a\noptionsx b\n options ndots:0  edns0\n").options;
        assert_eq!(options, ["ndots:0", "edns0"]);
    }
}
