//! What is read before anything is decided: the files, the names that the container has, and the time.

use super::clock;
use super::layout::{COMMITTED, DIRECTORIES, FILES, mode};
use super::name::{Name, is_host_name};
use super::options::TlsOptions;
use crate::fault;
use dind_contract::Fault;
use dind_system::Root;
use nix::unistd::{AccessFlags, access};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::net::{IpAddr, Ipv6Addr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// More than a chain of certificates has; a mistaken file is not read to its end.
const LONGEST: u64 = 1 << 20;

/// One of the files. One that is empty counts as none, as with docker:dind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileFacts {
    pub bytes: Vec<u8>,
    /// Its permissions.
    pub mode: u32,
}

/// What is decided upon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// The directory, as the user has named it.
    pub directory: PathBuf,
    /// Whether it is there.
    pub exists: bool,
    /// Whether new files can be put there, and into the directories in it.
    pub writable: bool,
    /// Whether an earlier apply was interrupted after it had decided: its files count.
    pub interrupted: bool,
    /// The files that are there.
    pub files: BTreeMap<&'static str, FileFacts>,
    /// The names of this container, and those that the user has added.
    pub names: Vec<Name>,
    /// Seconds since 1970.
    pub now: i64,
}

impl Facts {
    /// Reads them below `root`.
    ///
    /// # Errors
    /// [`fault::TLS_NOT_READ`]: a file is there, and cannot be read.
    pub(super) fn read(root: &Root, directory: &Path, options: &TlsOptions) -> Result<Self, Fault> {
        let here = root.path(directory);
        let committed = here.join(COMMITTED);
        let interrupted = committed.is_dir();
        let mut files = BTreeMap::new();
        for name in FILES {
            let of =
                |base: &Path| read(&base.join(name)).map_err(|error| not_read(&directory.join(name), &error));
            let newer = if interrupted { of(&committed)? } else { None };
            let file = newer.map_or_else(|| of(&here), |file| Ok(Some(file)))?;
            // What keeps a captured machine keeps no modes.
            let file =
                file.map(|file| if root.is_host() { file } else { FileFacts { mode: mode(name), ..file } });
            files.extend(file.filter(|file| !file.bytes.is_empty()).map(|file| (name, file)));
        }
        let inner = DIRECTORIES.iter().map(|name| here.join(name)).filter(|path| path.is_dir());
        let nearest = here.ancestors().find(|path| path.exists()).map(Path::to_owned);
        Ok(Self {
            directory: directory.to_owned(),
            exists: here.is_dir(),
            writable: nearest.into_iter().chain(inner).all(|path| access(&path, AccessFlags::W_OK).is_ok()),
            interrupted,
            files,
            names: names(root, &options.names),
            now: clock::now().as_secs().try_into().unwrap_or(i64::MAX),
        })
    }
}

fn read(path: &Path) -> io::Result<Option<FileFacts>> {
    let file = match File::open(path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        opened => opened?,
    };
    let metadata = file.metadata()?;
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(Some(FileFacts { bytes, mode: metadata.mode() & 0o7777 }))
}

fn not_read(path: &Path, error: &io::Error) -> Fault {
    let hint = "each of docker:dind's files has to be a file that root can read, or not there";
    fault::TLS_NOT_READ.cannot("read", path.display(), error).hint(hint)
}

/// The names of the engine: those that docker:dind gives it, and the user's. Link-local addresses are left out: they are of use on one
/// link only, and change with it.
fn names(root: &Root, added: &[Name]) -> Vec<Name> {
    let text = |path: &str| root.read(path).unwrap_or_default();
    let host = text("/proc/sys/kernel/hostname").trim().to_owned();
    let mut hosts = vec!["docker".to_owned(), "localhost".to_owned(), host.clone()];
    hosts.extend(aliases(&text("/etc/hosts"), &host));
    let mut names: Vec<_> = hosts
        .iter()
        .filter(|host| is_host_name(host))
        .map(|host| Name::Dns(host.to_ascii_lowercase()))
        .collect();
    let mut addresses = vec![IpAddr::from([127, 0, 0, 1]), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    addresses.extend(addresses4(&text("/proc/net/fib_trie")));
    addresses.extend(addresses6(&text("/proc/net/if_inet6")));
    names.extend(addresses.into_iter().map(Name::Ip));
    names.extend(added.iter().cloned());
    names.sort();
    names.dedup();
    names
}

/// All names on the lines of /etc/hosts that name this host: the one with a domain is there.
fn aliases(hosts: &str, host: &str) -> Vec<String> {
    let words = |line: &str| -> Vec<String> {
        let words = line.split('#').next().unwrap_or_default().split_whitespace();
        words.skip(1).map(str::to_owned).collect()
    };
    hosts.lines().map(words).filter(|words| words.iter().any(|word| word == host)).flatten().collect()
}

/// The addresses in /proc/net/fib_trie: a leaf that is of this host alone.
fn addresses4(trie: &str) -> Vec<IpAddr> {
    let (mut leaf, mut found) = (None::<IpAddr>, Vec::new());
    for line in trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse().ok();
        } else if line == "/32 host LOCAL" {
            found.extend(leaf.take());
        }
    }
    found
}

/// The addresses in /proc/net/if_inet6: 32 digits, then index, prefix, scope, flags and name of the link.
fn addresses6(links: &str) -> Vec<IpAddr> {
    let address =
        |line: &str| u128::from_str_radix(line.split_whitespace().next()?, 16).ok().map(Ipv6Addr::from);
    links
        .lines()
        .filter_map(address)
        .filter(|address| !address.is_unicast_link_local())
        .map(IpAddr::V6)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const TRIE: &str = "Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 172.17.0.0/16 2 0 2
        |-- 172.17.0.0
           /16 link UNICAST
        |-- 172.17.0.2
           /32 host LOCAL
        |-- 172.17.255.255
           /32 link BROADCAST
Local:
     |-- 127.0.0.0
        /8 host LOCAL
     |-- 127.0.0.1
        /32 host LOCAL
     |-- 172.17.0.2
        /32 host LOCAL
";

    #[test]
    fn the_names_of_a_container() {
        let directory = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("proc/sys/kernel/hostname", "Node_1\n");
        write("etc/hosts", "127.0.0.1 localhost\n10.0.0.9 other\n172.17.0.2 node.lan Node_1 # ours\n");
        write("proc/net/fib_trie", TRIE);
        let v6 = "00000000000000000000000000000001 01 80 10 80 lo\nfd370000000000000000000000000002 02 40 00 80 eth0\n\
                  fe80000000000000004211fffeac1102 02 40 20 80 eth0\n";
        write("proc/net/if_inet6", v6);
        let found = names(&Root::at(directory.path()), &[Name::Dns("ci".to_owned())]);
        let texts: Vec<_> = found.iter().map(Name::to_string).collect();
        assert_eq!(
            texts,
            [
                "DNS:ci",
                "DNS:docker",
                "DNS:localhost",
                "DNS:node.lan",
                "DNS:node_1",
                "IP:127.0.0.1",
                "IP:172.17.0.2",
                "IP:::1",
                "IP:fd37::2",
            ]
        );
    }
}
