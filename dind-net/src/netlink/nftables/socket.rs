//! The conversation with nf_tables: what there is, and one transaction that changes it. No program is run.
//!
//! The first request makes the kernel load nf_tables by itself where that is a module; no /lib/modules is needed here.

use crate::netlink::nftables::answer::{self, Chain, Rule, Table};
use crate::netlink::nftables::batch::Batch;
use crate::netlink::nftables::message::{encode, kind, text};
use crate::netlink::transient;
use nix::libc::{NFPROTO_IPV4, NLM_F_ACK, NLM_F_DUMP};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::time::TimeVal;
use rtnetlink::sys::protocols::NETLINK_NETFILTER;
use rtnetlink::sys::{Socket, SocketAddr};
use std::io;

/// How long the kernel may take to answer. It does so before `send` returns, but for long lists; an answer that is lost must not
/// keep anybody.
const ANSWER_LIMIT: i64 = 10;

const GET_TABLES: u16 = kind(1);
const GET_CHAINS: u16 = kind(4);
const GET_RULES: u16 = kind(7);
const GET_GENERATION: u16 = kind(16);
const IPV4: u8 = NFPROTO_IPV4 as u8;

/// An open conversation in the calling thread's network namespace.
///
/// Closing it after a transaction waits, some milliseconds, until the kernel has freed what was removed (a grace period of
/// RCU, `nft_rcv_nl_event` of nf_tables_api.c).
#[derive(Debug)]
pub struct Conversation(Socket);

impl Conversation {
    /// Opens a socket.
    ///
    /// # Errors
    /// Those of the kernel.
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_NETFILTER)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        setsockopt(&socket, ReceiveTimeout, &TimeVal::new(ANSWER_LIMIT, 0))?;
        Ok(Self(socket))
    }

    /// The generation of the rule set, see [`answer::generation`].
    ///
    /// # Errors
    /// Those of the kernel.
    pub fn generation(&self) -> io::Result<u32> {
        let bodies = self.ask(GET_GENERATION, NLM_F_ACK, 0, &[])?;
        let generation = bodies.iter().find_map(|body| answer::generation(body));
        generation.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// The tables of all families.
    ///
    /// # Errors
    /// Those of the kernel.
    pub fn tables(&self) -> io::Result<Vec<Table>> {
        let bodies = self.ask(GET_TABLES, NLM_F_DUMP, 0, &[])?;
        Ok(bodies.iter().filter_map(|body| Table::parse(body)).collect())
    }

    /// The chains of a table of IPv4.
    ///
    /// # Errors
    /// Those of the kernel.
    pub fn chains(&self, table: &str) -> io::Result<Vec<Chain>> {
        // The kernel lists the chains of all tables, whatever is asked for.
        let bodies = self.ask(GET_CHAINS, NLM_F_DUMP, IPV4, &[])?;
        let chains = bodies.iter().filter_map(|body| Chain::parse(body));
        Ok(chains.filter(|chain| chain.table == table).collect())
    }

    /// The rules of a chain of IPv4.
    ///
    /// # Errors
    /// Those of the kernel.
    pub fn rules(&self, table: &str, chain: &str) -> io::Result<Vec<Rule>> {
        let bodies = self.ask(GET_RULES, NLM_F_DUMP, IPV4, &[text(1, table), text(2, chain)].concat())?;
        Ok(bodies.iter().filter_map(|body| Rule::parse(body)).collect())
    }

    /// Has a transaction carried out, provided that the generation is still this one.
    ///
    /// # Errors
    /// Those of the kernel; `ERESTART` where the generation is another one.
    pub fn commit(&self, batch: &Batch, generation: u32) -> io::Result<()> {
        let (bytes, last) = batch.bytes(generation);
        self.send(&bytes, last)
    }

    /// Sends a batch, and waits for the answer to the message of that number.
    pub(super) fn send(&self, bytes: &[u8], last: u32) -> io::Result<()> {
        self.0.send(bytes, 0)?;
        loop {
            let answer = transient::retry(|| self.receive())?;
            let mut rest = answer.as_slice();
            while let Some((number, errno)) = answer::verdict(&mut rest) {
                if errno != 0 {
                    return Err(io::Error::from_raw_os_error(errno));
                }
                if number == last {
                    return Ok(());
                }
            }
        }
    }

    fn receive(&self) -> io::Result<Vec<u8>> {
        match self.0.recv_from_full() {
            Ok((answer, _)) => Ok(answer),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Err(io::Error::new(io::ErrorKind::TimedOut, "the kernel does not answer"))
            }
            Err(error) => Err(error),
        }
    }

    /// The bodies of all messages that answer a request.
    fn ask(&self, kind: u16, flags: i32, family: u8, attributes: &[u8]) -> io::Result<Vec<Vec<u8>>> {
        self.0.send(&encode(kind, flags, 0, family, 0, attributes), 0)?;
        let mut bodies = Vec::new();
        loop {
            let answer = self.receive()?;
            match answer::collect(&answer, &mut bodies) {
                None => {}
                Some(0) => return Ok(bodies),
                Some(errno) => return Err(io::Error::from_raw_os_error(errno)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::getsockopt;
    use nix::sys::time::TimeValLike;

    #[test]
    fn an_answer_that_does_not_come_is_not_waited_for() {
        let conversation = Conversation::open().unwrap();
        let limit = getsockopt(&conversation.0, ReceiveTimeout).unwrap();
        assert_eq!(limit.num_seconds(), ANSWER_LIMIT);
        setsockopt(&conversation.0, ReceiveTimeout, &TimeVal::new(0, 10_000)).unwrap();
        assert_eq!(conversation.receive().unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
