//! Name servers on the container's loopback, such as Docker's own on user-defined networks: the node has another loopback. It asks an
//! address instead that pasta answers for, and passes on from outside (pasta(1), `--dns-forward`; UDP only).

use super::mode::OWN;
use crate::TOOL;
use dind_contract::Warning;
use dind_contract::finish::log_warning;
use dind_system::Root;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Link-local, so that it is nobody else's, and reached by the default route.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 53);

/// The option for the server outside, of pasta from 2024 on.
const HOST: &str = "--dns-host";

/// Where containers have their name servers.
pub(super) const FILE: &str = "/etc/resolv.conf";

/// The node's, where that is another one.
pub(super) fn file_of_node() -> PathBuf {
    PathBuf::from(OWN).join("resolv.conf")
}

/// A name server that the node cannot ask by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Forwarded {
    server: Ipv4Addr,
    /// The text of the node's file.
    text: String,
}

impl Forwarded {
    /// Looks whether there is one, and writes the node's file or removes that of an earlier start. Returns pasta's flags for it.
    pub(super) fn prepare(root: &Root, pasta: &Path) -> io::Result<Vec<String>> {
        let found = Self::of(&root.read_opt(FILE)?.unwrap_or_default());
        let flags = found.as_ref().and_then(|found| found.flags(pasta));
        if found.is_some() && flags.is_none() {
            let message = "the node cannot ask the name server on the container's loopback, as it has on networks of the user's: this pasta is \
                           older than 2024";
            log_warning(
                TOOL,
                &Warning::new(
                    "name-server-out-of-reach",
                    message,
                    "the default network, or a newer passt in the image",
                ),
            );
        }
        match found.filter(|_| flags.is_some()) {
            Some(forwarded) => fs::write(file_of_node(), &forwarded.text)?,
            None => match fs::remove_file(file_of_node()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            },
        }
        Ok(flags.map(Vec::from).unwrap_or_default())
    }

    fn of(text: &str) -> Option<Self> {
        let server = |line: &str| line.strip_prefix("nameserver")?.trim().parse::<Ipv4Addr>().ok();
        let local = |line: &&str| server(line).is_some_and(|server| server.is_loopback());
        let first = text.lines().find(local).and_then(server)?;
        let others = text.lines().filter(|line| !local(line)).map(|line| format!("{line}\n"));
        let text = std::iter::once(format!("nameserver {ADDRESS}\n")).chain(others).collect();
        Some(Self { server: first, text })
    }

    /// pasta's flags. Versions that do not know the first one bind what they send to the outer link, from which no loopback is
    /// reached: nothing helps there.
    pub(super) fn flags(&self, pasta: &Path) -> Option<[String; 4]> {
        let help = Command::new(pasta).arg("--help").output().ok()?;
        let texts = [help.stdout, help.stderr];
        let known = texts.iter().any(|text| String::from_utf8_lossy(text).contains(HOST));
        known.then(|| {
            [HOST.to_owned(), self.server.to_string(), "--dns-forward".to_owned(), ADDRESS.to_string()]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_loopback_is_asked_by_another_address() {
        assert_eq!(Forwarded::of("nameserver 192.0.2.1\nsearch x\n"), None);
        let found = Forwarded::of("search x\nnameserver 127.0.0.11\noptions ndots:0\n").unwrap();
        assert_eq!(found.server, Ipv4Addr::new(127, 0, 0, 11));
        assert_eq!(found.text, "nameserver 169.254.1.53\nsearch x\noptions ndots:0\n");
    }
}
