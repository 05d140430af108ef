//! The name server of the cluster: it knows one name.

use nix::sched::{CloneFlags, setns};
use std::fs::File;
use std::net::UdpSocket;
use std::path::Path;
use std::thread::{self, JoinHandle};

/// The address of the cluster's name server, as most clusters have it. It is in no network that a pod has a route to.
pub(crate) const NAME_SERVER: &str = "10.96.0.10";

/// The name that it knows, without the domains that a pod's resolv.conf adds.
pub(crate) const SERVICE: &str = "registry";

/// The domain of the pods' namespace, the first in their resolv.conf.
pub(crate) const DOMAIN: &str = "default.svc.cluster.local";

/// The address that it answers.
pub(crate) const ADDRESS: [u8; 4] = [10, 96, 7, 7];

/// Length of a message's head, and the flags in it (RFC 1035, section 4.1.1).
const HEAD: usize = 12;
const ANSWER: [u8; 2] = [0x84, 0x00];
const NO_SUCH_NAME: [u8; 2] = [0x84, 0x03];

/// A running name server; it ends with its handle.
#[derive(Debug)]
pub(crate) struct NameServer {
    socket: UdpSocket,
    thread: Option<JoinHandle<()>>,
}

impl NameServer {
    /// Starts one in a network namespace, by its file: where containerd's bridges are.
    pub(crate) fn start(network: &Path) -> Self {
        let network = File::open(network).unwrap();
        let bound = thread::spawn(move || {
            setns(network, CloneFlags::CLONE_NEWNET).unwrap();
            UdpSocket::bind((NAME_SERVER, 53)).unwrap()
        });
        let socket = bound.join().unwrap();
        let own = socket.try_clone().unwrap();
        Self { socket, thread: Some(thread::spawn(move || serve(&own))) }
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        // Shorter than any question: the end.
        let _ = self.socket.send_to(&[0], (NAME_SERVER, 53));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn serve(socket: &UdpSocket) {
    let mut message = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut message) {
        if length < HEAD {
            return;
        }
        let _ = socket.send_to(&answer(&message[..length]), from);
    }
}

/// The address, where an address of the known name is asked for; nothing for another type; else that there is no such name.
fn answer(question: &[u8]) -> Vec<u8> {
    let end = HEAD + question[HEAD..].iter().position(|byte| *byte == 0).unwrap_or_default() + 1;
    let (name, kind) = (&question[HEAD..end], &question[end..end + 2]);
    let known: Vec<u8> = format!("{SERVICE}.{DOMAIN}")
        .split('.')
        .flat_map(|label| std::iter::once(label.len() as u8).chain(label.bytes()))
        .chain([0])
        .collect();
    let is_known = name.eq_ignore_ascii_case(&known);
    let has_answer = is_known && kind == [0, 1];
    let mut message = question[..2].to_vec();
    message.extend(if is_known { ANSWER } else { NO_SUCH_NAME });
    message.extend([0, 1, 0, u8::from(has_answer), 0, 0, 0, 0]);
    message.extend(&question[HEAD..end + 4]);
    if has_answer {
        // The name of the question, an address, of the internet, for a minute, four bytes.
        message.extend([0xc0, HEAD as u8, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        message.extend(ADDRESS);
    }
    message
}
