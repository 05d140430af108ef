//! Everything that is read, once, before anything is decided: the network by netlink, the rest from files. A captured machine
//! has `/.dind/net.json` for the former.
//!
//! [`Facts`] is what decisions are made of. Its parts are [`original`], what the uplink had before an earlier run changed it,
//! [`resolv_conf`] and [`embedded_dns`] for name servers, [`recorded`] networks of the engine, [`other_engine`] in this network
//! namespace, [`iptables`], and what [`native`] firewalls of engines need. [`Leftovers`] is what a release looks for.

pub mod embedded_dns;
pub mod iptables;
pub mod ipv6;
pub mod native;
pub mod original;
pub mod other_engine;
pub mod recorded;
pub mod resolv_conf;

use crate::fault;
use crate::firewall::content::{self, ForwardChain, Listing, Tables};
use crate::firewall::forwarding::{self, IP_FORWARD};
use crate::firewall::state::{Record, route_localnet};
use crate::json_file;
use crate::netlink::net::Net;
use crate::netlink::route::Netlink;
use crate::netlink::transient;
use crate::options::Options;
use dind_contract::Fault;
use dind_system::Root;
use embedded_dns::Embedded;
use iptables::{Installed, Links};
use ipv6::Ipv6;
use native::Native;
use nix::unistd::{AccessFlags, access};
use original::Original;
use recorded::Recorded;
use resolv_conf::ResolvConf;
use std::path::Path;

/// The network of a captured machine, as [`Net`].
pub const CAPTURED_NET: &str = "/.dind/net.json";
/// The state of nf_tables of a captured machine, as [`content::Tables`].
pub const CAPTURED_NFT: &str = "/.dind/nft.json";

/// Exists in the machine's first network namespace alone (`net_core_table` of net/core/sysctl_net_core.c is
/// registered for `init_net`), whatever the container is allowed otherwise.
const INIT_NET_ONLY: &str = "/proc/sys/net/core/netdev_budget";

/// What decisions are made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Links, addresses, routes and what belongs to them, as they are now.
    pub net: Net,
    /// What the uplink had before an earlier run changed it, in this network namespace.
    pub original: Option<Original>,
    /// Whether it is known from the network alone, and the file is to be written again.
    pub unsaved: bool,
    /// Whether the network namespace is the machine's own.
    pub host_network: bool,
    /// IPv4 is not forwarded, and we may change that.
    pub forward_off: bool,
    /// The chain for what is forwarded.
    pub forward_chain: ForwardChain,
    /// The name servers and options that dockerd would take.
    pub resolv_conf: ResolvConf,
    /// A name server on loopback, where it is one of them and listens.
    pub embedded: Option<Embedded>,
    /// User-defined networks of the engine's record.
    pub recorded: Vec<Recorded>,
    /// The engine finds its default bridge in its record, or may find it there.
    pub default_recorded: bool,
    /// The socket of another engine in this network namespace.
    pub other_engine: Option<String>,
    /// What our own table of firewall rules holds, where it exists.
    pub rules: Option<Record>,
    /// Why the kernel refused our rules, where an apply has tried them.
    pub rules_refused: Option<String>,
    /// Why it refused those with a table of bridges.
    pub hairpin_refused: Option<String>,
    /// Whether packets from other links reach 127.0.0.0/8.
    pub route_localnet: bool,
    /// iptables programs and tables.
    pub iptables: Installed,
    /// What the engine's own backend needs.
    pub native: Native,
    /// What IPv6 needs.
    pub ipv6: Ipv6,
}

impl Facts {
    /// Reads everything below `root`.
    ///
    /// # Errors
    /// [`fault::NETLINK_FAILED`], [`fault::READ_FAILED`], [`fault::FACTS_INVALID`].
    pub fn observe(root: &Root, options: &Options) -> Result<Self, Fault> {
        let state = &options.state;
        let record = Record::read(root, state)?;
        let (net, listing) = if root.is_host() {
            (read_net()?, content::look().map_err(fault::unlistable)?)
        } else {
            let tables = captured(root, CAPTURED_NFT)?.unwrap_or_default();
            let listing = Listing { tables, own: record.is_some(), ..Listing::default() };
            (captured(root, CAPTURED_NET)?.unwrap_or_default(), listing)
        };
        let unread = |path: &'static str| move |error| fault::unreadable(path, error);
        let resolv_conf = ResolvConf::observe(root)?;
        let host_network = root.exists(INIT_NET_ONLY);
        let saved = Original::read(root, state)?.filter(|original| original.is_live(&net));
        // A bridge is of a node before this one where our table is there, too.
        let recovers = saved.is_none() && !host_network && listing.own && !options.no_bridge;
        let recovered = recovers.then(|| Original::recovered(&net, &options.bridge)).flatten();
        Ok(Self {
            unsaved: recovered.is_some(),
            original: saved.or(recovered),
            host_network,
            forward_off: forward_off(root),
            forward_chain: listing.forward,
            embedded: Embedded::observe(root, &resolv_conf.servers).map_err(unread("/proc/net/udp"))?,
            resolv_conf,
            recorded: recorded::observe(root, &options.data_root),
            default_recorded: recorded::holds_default(root, &options.data_root),
            other_engine: other_engine::observe(root, host_network).map_err(unread("/proc"))?,
            rules: record.filter(|_| listing.own),
            rules_refused: None,
            hairpin_refused: None,
            route_localnet: route_localnet(root),
            iptables: Installed::observe(root, state, listing.tables)
                .map_err(unread("/proc/net/ip_tables_names"))?,
            native: Native::observe(root, options, listing.tables),
            ipv6: Ipv6::observe(root, &net, listing.tables, &options.data_root),
            net,
        })
    }

    /// The network before dind-net changed it.
    #[must_use]
    pub fn before(&self) -> &Net {
        self.original.as_ref().map_or(&self.net, |original| &original.before)
    }
}

/// What an earlier run has made, all of it to be taken away by a release.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// The network as it is now; empty where nothing was bridged.
    pub net: Net,
    /// What the uplink had, whether or not it is of this network namespace.
    pub original: Option<Original>,
    /// The rules that we made, whether or not they are of this network namespace.
    pub rules: Option<Record>,
    /// Whether our own table of firewall rules exists.
    pub own_table: bool,
    /// Whether an apply has noted that it switches forwarding on. Another node may have made what is there.
    pub forwarding_noted: bool,
    /// Whether it is so noted, and nobody uses the chain that came with it.
    pub forwarding: bool,
    /// Nobody may ask what nf_tables holds without `CAP_NET_ADMIN`.
    pub unseen: bool,
    /// Directories of links to iptables.
    pub links: Vec<Links>,
    /// What router advertisements were set to.
    pub accept_ra: Option<ipv6::Record>,
}

impl Leftovers {
    /// Reads them. Nothing else is read: a release must not fail for a file that it does not need.
    ///
    /// # Errors
    /// [`fault::NETLINK_FAILED`], [`fault::READ_FAILED`].
    pub fn observe(state: &Path) -> Result<Self, Fault> {
        let root = Root::default();
        let original = Original::read(&root, state)?;
        let net = if original.is_some() { read_net()? } else { Net::default() };
        let listing = content::look().map_err(fault::unlistable)?;
        let forwarding_noted = root.exists(state.join(forwarding::FILE));
        Ok(Self {
            forwarding_noted,
            unseen: listing.tables == Tables::Unknown,
            net,
            original,
            rules: Record::read(&root, state)?,
            own_table: listing.own,
            forwarding: forwarding_noted && listing.forward == ForwardChain::OursUnused,
            links: iptables::links(&root, state),
            accept_ra: ipv6::Record::read(&root, state)?,
        })
    }
}

fn read_net() -> Result<Net, Fault> {
    transient::retry(|| Netlink::open()?.read()).map_err(fault::unlistable)
}

fn captured<T: serde::de::DeserializeOwned>(root: &Root, path: &'static str) -> Result<Option<T>, Fault> {
    json_file::read(root, path)?.transpose().map_err(|error| {
        fault::FACTS_INVALID.cannot("read", path, error).hint("see the captured machines in tests/cases")
    })
}

/// What cannot be read or written is not ours to switch on: dockerd tries, and reports why it cannot.
fn forward_off(root: &Root) -> bool {
    root.read_opt(IP_FORWARD).is_ok_and(|text| text.is_some_and(|text| text.trim() == "0"))
        && access(&root.path(IP_FORWARD), AccessFlags::W_OK).is_ok()
}
