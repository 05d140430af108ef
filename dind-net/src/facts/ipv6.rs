//! What IPv6 needs: the kernel's controls of each link, a firewall for it, and what identifies this container.

use crate::facts::recorded;
use crate::firewall::content::Tables;
use crate::json_file;
use crate::netlink::net::Net;
use crate::netlink::nftables::check::ipv6_nat;
use dind_contract::Fault;
use dind_system::helper::HELPER_PATH;
use dind_system::{Root, proc};
use ipnet::Ipv6Net;
use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The file's name in the state directory, see [`Record`].
pub const FILE: &str = "net6.json";

/// Names of the tables that exist in ip6_tables; the file exists when ip6_tables does.
const IP6_TABLES: &str = "/proc/net/ip6_tables_names";
/// Exists when the kernel can load modules at all.
const MODULES: &str = "/proc/modules";
/// The container's name.
const HOSTNAME: &str = "/proc/sys/kernel/hostname";
/// A file that every runtime makes for each container or pod, and mounts.
const HOSTS: &str = "/etc/hosts";

/// What IPv6 needs. All of it stays empty where no link has an address that packets could come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ipv6 {
    /// The controls of links, by name; those that are missing have no IPv6.
    pub links: BTreeMap<String, Controls>,
    /// `/proc/sys` is mounted read-only: dockerd can switch neither IPv6 of its bridges on, nor forwarding.
    pub read_only: bool,
    /// Whether a program called `ip6tables` is installed.
    pub program: bool,
    /// Whether ip6_tables is in the kernel, or may be a module.
    pub legacy: bool,
    /// Why nf_tables has no NAT for IPv6; nothing where it has, or where nobody may ask.
    pub nft_refused: Option<String>,
    /// Subnets of user-defined networks in the engine's record.
    pub recorded: Vec<Ipv6Net>,
    /// What this container keeps when it starts again, and what no other has.
    pub identity: Identity,
}

/// `net.ipv6.conf.LINK` (kernel, ip-sysctl).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Controls {
    /// `disable_ipv6`.
    pub disabled: bool,
    /// `accept_ra`: 1 means that router advertisements are accepted unless the link forwards, 2 that they are anyway.
    pub accept_ra: Option<u8>,
}

/// What identifies a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Its host name.
    pub host: String,
    /// Where the runtime keeps its /etc/hosts: the path has the container's or the pod's id. Nothing where it is no mount.
    pub file: Option<String>,
}

/// What router advertisements of a link were set to before: the file that a release restores from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The link's name.
    pub link: String,
    /// `accept_ra` as it was.
    pub accept_ra: u8,
}

impl Ipv6 {
    /// Reads everything below `root`.
    #[must_use]
    pub fn observe(root: &Root, net: &Net, tables: Tables, data_root: &Path) -> Self {
        if net.global6().next().is_none() {
            return Self::default();
        }
        let links =
            net.links.iter().filter_map(|link| Some((link.name.clone(), controls(root, &link.name)?)));
        let asked = root.is_host() && matches!(tables, Tables::Present | Tables::Empty);
        Self {
            links: links.collect(),
            read_only: access(&root.path(control("all", "forwarding")), AccessFlags::W_OK)
                == Err(Errno::EROFS),
            program: HELPER_PATH.split(':').any(|path| root.exists(Path::new(path).join("ip6tables"))),
            legacy: root.exists(IP6_TABLES) || root.exists(MODULES),
            nft_refused: if asked { ipv6_nat().err().map(|error| error.to_string()) } else { None },
            recorded: recorded::observe6(root, data_root),
            identity: identity(root),
        }
    }
}

impl Record {
    /// Reads the file below `root`; nothing where there is none.
    ///
    /// # Errors
    /// [`crate::fault::READ_FAILED`] when it cannot be read. One that cannot be understood counts as none.
    pub fn read(root: &Root, state: &Path) -> Result<Option<Self>, Fault> {
        Ok(json_file::read(root, state.join(FILE))?.and_then(Result::ok))
    }
}

/// The path of a link's control.
#[must_use]
pub fn control(link: &str, name: &str) -> String {
    format!("/proc/sys/net/ipv6/conf/{link}/{name}")
}

fn controls(root: &Root, link: &str) -> Option<Controls> {
    let read = |name| root.read(control(link, name)).ok();
    Some(Controls {
        disabled: read("disable_ipv6")?.trim() != "0",
        accept_ra: read("accept_ra").and_then(|text| text.trim().parse().ok()),
    })
}

fn identity(root: &Root) -> Identity {
    let host = root.read(HOSTNAME).map(|text| text.trim().to_owned()).unwrap_or_default();
    let mounts = proc::mounts(root).unwrap_or_default();
    let file = proc::mount_at(&mounts, HOSTS).map(|mount| mount.root.display().to_string());
    Identity { host, file }
}
