//! One rtnetlink conversation: reads a [`Net`], and makes one [`Change`] at a time.

use crate::netlink::change::Change;
use crate::netlink::convert::{
    mac_bytes, name_of, read_address, read_link, read_neighbour, read_route, read_rule, write_address,
    write_neighbour, write_route,
};
use crate::netlink::net::{Net, Route};
use crate::netlink::request::{REQUEST_LIMIT, ask};
use crate::netlink::transient;
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkMessage,
    NetlinkPayload,
};
use rtnetlink::packet_route::address::AddressMessage;
use rtnetlink::packet_route::link::{BridgeStpState, LinkMessage};
use rtnetlink::packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use rtnetlink::packet_route::route::{RouteAttribute, RouteMessage};
use rtnetlink::packet_route::rule::RuleMessage;
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage as Message};
use rtnetlink::{Handle, LinkBridge, LinkMessageBuilder, LinkUnspec};
use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// A request that the kernel answers when it is done.
const CHANGE: u16 = NLM_F_REQUEST | NLM_F_ACK;
/// A request for something new.
const CREATE: u16 = CHANGE | NLM_F_CREATE | NLM_F_EXCL;
/// A request for something that takes the place of what is there.
const REPLACE: u16 = CHANGE | NLM_F_CREATE | NLM_F_REPLACE;

/// When a neighbour that has not answered is asked again. The kernel itself does so after a second only, and the first request is lost
/// where a link does not carry yet what a change has just made of it.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// An open netlink socket in the calling thread's network namespace.
#[derive(Debug)]
pub struct Netlink {
    runtime: Runtime,
    handle: Handle,
}

impl Netlink {
    /// Opens the socket.
    ///
    /// # Errors
    /// Those of socket and epoll.
    pub fn open() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = {
            let _inside = runtime.enter();
            let (mut connection, handle, _) = rtnetlink::new_connection()?;
            connection.set_forward_ack(true);
            connection.set_forward_done(true);
            runtime.spawn(connection);
            handle
        };
        Ok(Self { runtime, handle })
    }

    /// Reads all links, addresses, routes, permanent neighbours and policy rules.
    ///
    /// # Errors
    /// Those of the kernel.
    pub fn read(&self) -> io::Result<Net> {
        transient::retry(|| self.runtime.block_on(self.read_once()))
    }

    async fn read_once(&self) -> io::Result<Net> {
        let dump = NLM_F_REQUEST | NLM_F_DUMP;
        let links = self.ask(Message::GetLink(LinkMessage::default()), dump).await?;
        let addresses = self.ask(Message::GetAddress(AddressMessage::default()), dump).await?;
        let (mut routes, mut neighbours, mut rules) = (Vec::new(), Vec::new(), Vec::new());
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut query = RouteMessage::default();
            query.header.address_family = family;
            routes.extend(self.ask(Message::GetRoute(query), dump).await?);
            let mut query = NeighbourMessage::default();
            query.header.family = family;
            neighbours.extend(self.ask(Message::GetNeighbour(query), dump).await?);
            let mut query = RuleMessage::default();
            query.header.family = family;
            match self.ask(Message::GetRule(query), dump).await {
                Ok(found) => rules.extend(found),
                // A kernel without policy rules has none that could be in the way.
                Err(error) if error.raw_os_error() == Some(nix::libc::EOPNOTSUPP) => {}
                Err(error) => return Err(error),
            }
        }
        let links: Vec<_> =
            links.iter().filter_map(|m| if let Message::NewLink(m) = m { Some(m) } else { None }).collect();
        let names: BTreeMap<u32, String> =
            links.iter().filter_map(|link| Some((link.header.index, name_of(link)?))).collect();
        Ok(Net {
            links: links.iter().filter_map(|link| read_link(link, &names)).collect(),
            addresses: addresses
                .iter()
                .filter_map(|m| if let Message::NewAddress(m) = m { read_address(m, &names) } else { None })
                .collect(),
            routes: routes
                .iter()
                .flat_map(|m| if let Message::NewRoute(m) = m { read_route(m, &names) } else { Vec::new() })
                .collect(),
            neighbours: neighbours
                .iter()
                .filter_map(
                    |m| if let Message::NewNeighbour(m) = m { read_neighbour(m, &names) } else { None },
                )
                .collect(),
            rules: rules
                .iter()
                .flat_map(|m| if let Message::NewRule(m) = m { read_rule(m) } else { Vec::new() })
                .collect(),
        })
    }

    /// Makes one change.
    ///
    /// # Errors
    /// Those of the kernel, or a link that no longer exists.
    pub fn make(&self, change: &Change) -> io::Result<()> {
        self.runtime.block_on(async {
            match change {
                Change::CreateBridge { name, mac, mtu } => self.create_bridge(name, mac, *mtu).await,
                Change::SetMtu { link, mtu } => self.set(self.change_of(link).await?.mtu(*mtu)).await,
                Change::Join { port, bridge } => {
                    let bridge = self.index(bridge).await?;
                    self.set(self.change_of(port).await?.controller(bridge)).await
                }
                Change::Leave { port, .. } => self.set(self.change_of(port).await?.nocontroller()).await,
                Change::Up { link } => self.set(self.change_of(link).await?.up()).await,
                Change::RemoveBridge { name } => {
                    let message = self.change_of(name).await?.build();
                    self.ask(Message::DelLink(message), CHANGE).await.map(drop)
                }
                Change::AddAddress(address) => {
                    if address.address.addr().is_ipv6() {
                        // A new link takes over `default`, and Docker switches IPv6 off there, for all links but those
                        // that have an address. Where this cannot be written, the next request says so.
                        let control = format!("/proc/sys/net/ipv6/conf/{}/disable_ipv6", address.link);
                        let _ = std::fs::write(control, "0");
                    }
                    let message = write_address(address, self.index(&address.link).await?);
                    self.ask(Message::NewAddress(message), CREATE).await.map(drop)
                }
                Change::RemoveAddress(address) => {
                    let message = write_address(address, self.index(&address.link).await?);
                    self.ask(Message::DelAddress(message), CHANGE).await.map(drop)
                }
                Change::AddRoute(route) => {
                    let message = write_route(route, self.index(&route.link).await?);
                    self.ask(Message::NewRoute(message), CREATE).await.map(drop)
                }
                Change::ReplaceRoute(route) => {
                    let message = write_route(route, self.index(&route.link).await?);
                    self.ask(Message::NewRoute(message), REPLACE).await.map(drop)
                }
                Change::Announce { link, mac } => self.announce(link, mac).await,
                Change::AddNeighbour(neighbour) => {
                    let message = write_neighbour(neighbour, self.index(&neighbour.link).await?);
                    self.ask(Message::NewNeighbour(message), REPLACE).await.map(drop)
                }
                Change::RemoveRoute(route) => {
                    let message = write_route(route, self.index(&route.link).await?);
                    self.ask(Message::DelRoute(message), CHANGE).await.map(drop)
                }
            }
        })
    }

    async fn create_bridge(&self, name: &str, mac: &str, mtu: u32) -> io::Result<()> {
        // A bridge follows its ports' lowest MTU until somebody *changes* its own (br_change_mtu in
        // net/bridge/br_device.c), and what a link is created with is no change.
        let other_mtu = if mtu > 1500 { mtu - 1 } else { mtu + 1 };
        let message = LinkMessageBuilder::<LinkBridge>::new(name)
            .address(mac_bytes(mac))
            .mtu(other_mtu)
            .stp_state(BridgeStpState::Disabled)
            .forward_delay(0)
            .build();
        self.ask(Message::NewLink(message), CREATE).await?;
        self.set(self.change_of(name).await?.mtu(mtu)).await
    }

    /// The kernel announces a link's addresses when its hardware address is set, be it to what it is, if two controls
    /// say so (inetdev_event of devinet.c, ndisc_netdev_event of ndisc.c). Neighbours find us anyway, by the address that
    /// has not changed: where the controls cannot be written, it stays at that.
    async fn announce(&self, link: &str, mac: &str) -> io::Result<()> {
        let controls = [
            format!("/proc/sys/net/ipv4/conf/{link}/arp_notify"),
            format!("/proc/sys/net/ipv6/conf/{link}/ndisc_notify"),
        ];
        controls.iter().for_each(|control| drop(std::fs::write(control, "1")));
        let announced = self.set(self.change_of(link).await?.address(mac_bytes(mac))).await;
        controls.iter().for_each(|control| drop(std::fs::write(control, "0")));
        announced
    }

    /// Has the kernel ask for a neighbour by ARP, again and again; whether it answers within `limit`.
    ///
    /// # Errors
    /// Those of the kernel.
    pub fn answers(&self, link: u32, address: Ipv4Addr, limit: Duration) -> io::Result<bool> {
        let mut query = NeighbourMessage::default();
        query.header.ifindex = link;
        query.header.family = AddressFamily::Inet;
        query.attributes.push(NeighbourAttribute::Destination(NeighbourAddress::Inet(address)));
        let end = Instant::now() + limit;
        while Instant::now() < end {
            self.ask_neighbour(&query)?;
            let round = end.min(Instant::now() + ASK_AGAIN);
            while Instant::now() < round {
                if self.has_answered(&query)? {
                    return Ok(true);
                }
                std::thread::sleep(Duration::from_micros(100));
            }
        }
        Ok(false)
    }

    fn ask_neighbour(&self, query: &NeighbourMessage) -> io::Result<()> {
        let mut request = query.clone();
        request.header.flags = NeighbourFlags::Use;
        // What is known from before would be believed for a while.
        match self.runtime.block_on(self.ask(Message::DelNeighbour(query.clone()), CHANGE)) {
            Err(error) if error.raw_os_error() != Some(nix::libc::ENOENT) => return Err(error),
            _ => {}
        }
        self.runtime.block_on(self.ask(Message::NewNeighbour(request), CHANGE | NLM_F_CREATE)).map(drop)
    }

    fn has_answered(&self, query: &NeighbourMessage) -> io::Result<bool> {
        let mut list = NeighbourMessage::default();
        list.header.family = query.header.family;
        let found =
            self.runtime.block_on(self.ask(Message::GetNeighbour(list), NLM_F_REQUEST | NLM_F_DUMP))?;
        Ok(found.iter().any(|message| match message {
            Message::NewNeighbour(entry) => {
                entry.header.ifindex == query.header.ifindex
                    && entry.header.state == NeighbourState::Reachable
                    && query.attributes.iter().all(|whose| entry.attributes.contains(whose))
            }
            _ => false,
        }))
    }

    async fn set(&self, change: LinkMessageBuilder<LinkUnspec>) -> io::Result<()> {
        self.ask(Message::SetLink(change.build()), CHANGE).await.map(drop)
    }

    async fn change_of(&self, link: &str) -> io::Result<LinkMessageBuilder<LinkUnspec>> {
        Ok(LinkUnspec::new_with_index(self.index(link).await?))
    }

    async fn index(&self, link: &str) -> io::Result<u32> {
        let query = LinkUnspec::new_with_name(link).build();
        match self.ask(Message::GetLink(query), CHANGE).await?.first() {
            Some(Message::NewLink(link)) => Ok(link.header.index),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    async fn ask(&self, message: Message, flags: u16) -> io::Result<Vec<Message>> {
        ask(self.handle.clone(), message, flags, REQUEST_LIMIT).await
    }
}

/// The routes of one message from the kernel, with the number of a link for its name. Nothing where the bytes are not a message.
#[must_use]
pub fn parse_routes(bytes: &[u8]) -> Vec<Route> {
    let Ok(message) = NetlinkMessage::<Message>::deserialize(bytes) else { return Vec::new() };
    match message.payload {
        NetlinkPayload::InnerMessage(Message::NewRoute(route)) => {
            let links = route.attributes.iter().filter_map(|attribute| match attribute {
                RouteAttribute::Oif(index) => Some((*index, index.to_string())),
                _ => None,
            });
            read_route(&route, &links.collect())
        }
        _ => Vec::new(),
    }
}
