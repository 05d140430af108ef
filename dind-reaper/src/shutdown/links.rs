//! Takes dead containers off the network, all at once.
//!
//! dockerd deletes the link of one container after the other, and each time the kernel waits until no packet is under way on
//! it (`synchronize_net`): of a stop with many containers this is the longest part. Links of one group go with one wait
//! (kernel, `rtnl_group_dellink`). dockerd takes it for granted that a link may be gone already (moby, libnetwork
//! `bridge.DeleteEndpoint`).

use dind_system::Process;
use dind_system::netlink::{Conversation, attribute, value};
use nix::sys::socket::SockProtocol;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;

/// Requests (linux/rtnetlink.h).
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const RTM_SETLINK: u16 = 19;
const RTM_GETNSID: u16 = 90;
/// Attributes of a link (linux/if_link.h), of what kind it is, and of a network namespace (linux/net_namespace.h).
const IFLA_LINKINFO: u16 = 18;
const IFLA_GROUP: u16 = 27;
const IFLA_LINK_NETNSID: u16 = 37;
const IFLA_INFO_KIND: u16 = 1;
const NETNSA_NSID: u16 = 1;
const NETNSA_FD: u16 = 3;
/// `ifinfomsg`, before the attributes of a link; the link's number is in its second word.
const LINK: usize = 16;
/// `rtgenmsg`, padded, before those of a network namespace.
const NAMESPACE: usize = 4;

/// The network namespaces of containers, without our own; each lasts for as long as it is known here.
#[derive(Debug, Default)]
pub(super) struct Namespaces(BTreeMap<u64, File>);

impl Namespaces {
    /// Keeps the one of a container that still runs.
    pub(super) fn keep(&mut self, init: &Process) {
        let inode = |file: &File| file.metadata().map(|metadata| metadata.ino());
        let Ok(file) = File::open(format!("/proc/{}/ns/net", init.pid())) else { return };
        let own = fs::metadata("/proc/self/ns/net").map(|metadata| metadata.ino());
        if let (Ok(inode), Ok(own)) = (inode(&file), own)
            && inode != own
        {
            self.0.insert(inode, file);
        }
    }

    /// Deletes the links of ours that lead there. Where that fails, dockerd does it.
    pub(super) fn disconnect(self) {
        if !self.0.is_empty() {
            let _ =
                Conversation::open(SockProtocol::NetlinkRoute).and_then(|kernel| disconnect(&kernel, &self));
        }
    }
}

fn disconnect(kernel: &Conversation, namespaces: &Namespaces) -> io::Result<()> {
    // First, because the kernel numbers the namespaces while it lists the links.
    let links = kernel.list(RTM_GETLINK, &[0; LINK])?;
    let links: Vec<_> = links.iter().filter_map(|body| Link::parse(body)).collect();
    let mut numbers = BTreeSet::new();
    for namespace in namespaces.0.values() {
        numbers.extend(number(kernel, namespace)?);
    }
    // No link may be in it. 0 is the one of all that are in no other.
    let group = (1..).find(|group| links.iter().all(|link| link.group != *group)).unwrap_or(u32::MAX);
    for link in
        links.iter().filter(|link| link.peer_namespace.is_some_and(|number| numbers.contains(&number)))
    {
        kernel.ask(RTM_SETLINK, &in_group(link.index, group))?;
    }
    kernel.ask(RTM_DELLINK, &in_group(0, group)).map(drop)
}

/// A link by its number, or all links where that is 0, and a group.
fn in_group(index: i32, group: u32) -> Vec<u8> {
    let mut body = vec![0; LINK];
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    body.extend(attribute(IFLA_GROUP, &group.to_ne_bytes()));
    body
}

/// The number of a network namespace; nothing where no link leads there.
fn number(kernel: &Conversation, namespace: &File) -> io::Result<Option<i32>> {
    let mut query = vec![0; NAMESPACE];
    query.extend(attribute(NETNSA_FD, &namespace.as_raw_fd().to_ne_bytes()));
    let answers = kernel.ask(RTM_GETNSID, &query)?;
    let number = answers.first().and_then(|body| word(value(body.get(NAMESPACE..)?, NETNSA_NSID)?));
    // -1 is none (net_namespace(7) has no word of it; kernel, NETNSA_NSID_NOT_ASSIGNED).
    Ok(number.filter(|number| *number >= 0))
}

fn word(bytes: &[u8]) -> Option<i32> {
    bytes.try_into().ok().map(i32::from_ne_bytes)
}

/// What is known of a link.
#[derive(Debug, PartialEq, Eq)]
struct Link {
    index: i32,
    group: u32,
    /// The number of the network namespace in which its peer is; pairs of virtual links alone have it.
    peer_namespace: Option<i32>,
}

impl Link {
    fn parse(body: &[u8]) -> Option<Self> {
        let (head, attributes) = body.split_at_checked(LINK)?;
        let kind = value(attributes, IFLA_LINKINFO).and_then(|info| value(info, IFLA_INFO_KIND));
        let is_pair = kind.is_some_and(|kind| kind.strip_suffix(b"\0").unwrap_or(kind) == b"veth");
        Some(Self {
            index: word(&head[4..8])?,
            group: value(attributes, IFLA_GROUP).and_then(word).map_or(0, i32::cast_unsigned),
            peer_namespace: value(attributes, IFLA_LINK_NETNSID).filter(|_| is_pair).and_then(word),
        })
    }
}
