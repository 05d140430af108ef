//! The kernel's side of [`Net`]: one netlink conversation that reads it, and makes one [`Change`] at a time.

use crate::change::Change;
use crate::net::Net;
use crate::wire::{mac_bytes, name_of, read_address, read_link, read_route, write_address, write_route};
use futures_util::StreamExt;
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage,
    NetlinkPayload,
};
use rtnetlink::packet_route::address::AddressMessage;
use rtnetlink::packet_route::link::{BridgeStpState, LinkMessage};
use rtnetlink::packet_route::route::RouteMessage;
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage as Message};
use rtnetlink::{Handle, LinkBridge, LinkMessageBuilder, LinkUnspec};
use std::collections::BTreeMap;
use std::io;
use tokio::runtime::Runtime;

/// A request that the kernel answers when it is done.
const CHANGE: u16 = NLM_F_REQUEST | NLM_F_ACK;
/// A request for something new.
const CREATE: u16 = CHANGE | NLM_F_CREATE | NLM_F_EXCL;
/// An open netlink socket in the calling thread's network namespace.
#[derive(Debug)]
pub struct Netlink {
    runtime: Runtime,
    handle: Handle,
}

/// How often a listing is tried that the kernel says has changed meanwhile.
const LISTINGS: usize = 8;

impl Netlink {
    /// Opens the socket.
    ///
    /// # Errors
    /// Those of socket and epoll.
    pub fn open() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
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

    /// Reads all links, addresses and routes.
    ///
    /// # Errors
    /// The kernel's.
    pub fn read(&self) -> io::Result<Net> {
        let mut answer = Err(io::ErrorKind::Interrupted.into());
        for _ in 0..LISTINGS {
            answer = self.runtime.block_on(self.read_once());
            if !matches!(&answer, Err(error) if error.kind() == io::ErrorKind::Interrupted) {
                break;
            }
        }
        answer
    }

    async fn read_once(&self) -> io::Result<Net> {
        let dump = NLM_F_REQUEST | NLM_F_DUMP;
        let links = self.ask(Message::GetLink(LinkMessage::default()), dump).await?;
        let addresses = self.ask(Message::GetAddress(AddressMessage::default()), dump).await?;
        let mut routes = Vec::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut query = RouteMessage::default();
            query.header.address_family = family;
            routes.extend(self.ask(Message::GetRoute(query), dump).await?);
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
        })
    }

    /// Makes one change.
    ///
    /// # Errors
    /// The kernel's, or a link that is gone.
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

    /// One request, and everything up to the kernel's last word on it. The requests of rtnetlink itself take the end
    /// of a broken connection for success.
    async fn ask(&self, message: Message, flags: u16) -> io::Result<Vec<Message>> {
        let mut request = NetlinkMessage::from(message);
        request.header.flags = flags;
        let mut answers = self.handle.clone().request(request).map_err(|_| io::ErrorKind::BrokenPipe)?;
        let mut messages = Vec::new();
        while let Some(answer) = answers.next().await {
            if answer.header.flags & NLM_F_DUMP_INTR != 0 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            match answer.payload {
                NetlinkPayload::InnerMessage(message) => messages.push(message),
                NetlinkPayload::Done(_) => return Ok(messages),
                NetlinkPayload::Error(verdict) if verdict.code.is_none() => return Ok(messages),
                NetlinkPayload::Error(verdict) => return Err(verdict.to_io()),
                NetlinkPayload::Overrun(_) => return Err(io::ErrorKind::Interrupted.into()),
                _ => {}
            }
        }
        Err(io::ErrorKind::BrokenPipe.into())
    }
}
