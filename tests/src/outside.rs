//! A name server on the outer host, in the place of the outside world: it knows one name.

use crate::outer::enter_host_network;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// The name that it knows.
pub const NAME: &str = "outside.example";
/// And its address.
pub const ADDRESS: &str = "203.0.113.7";

/// Answers until it is dropped.
#[derive(Debug)]
pub struct Outside {
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Outside {
    /// Listens on port 53 of an address of the outer host.
    ///
    /// # Panics
    /// The host does not have the address.
    #[must_use]
    pub fn at(address: &str) -> Self {
        let address = (address.to_owned(), 53);
        let ends = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&ends);
        let thread = std::thread::spawn(move || {
            enter_host_network();
            let socket = UdpSocket::bind(address).unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            let mut bytes = [0; 512];
            while !ended.load(Ordering::Relaxed) {
                if let Ok((length, asker)) = socket.recv_from(&mut bytes)
                    && let Some(answer) = answer(&bytes[..length])
                {
                    socket.send_to(&answer, asker).unwrap();
                }
            }
        });
        Self { ends, thread: Some(thread) }
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// RFC 1035, section 4: the question again, and one address if it is the name's.
fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let end = 12 + query.get(12..)?.iter().position(|byte| *byte == 0)? + 5;
    let question = query.get(12..end)?;
    let name: Vec<u8> =
        NAME.split('.').flat_map(|part| [&[part.len() as u8], part.as_bytes()].concat()).collect();
    let known = question.starts_with(&name);
    // Type A: the low byte of the field before the class.
    let found = known && question[question.len() - 3] == 1;
    let mut answer = query[..2].to_vec();
    answer.extend([0x81, if known { 0x80 } else { 0x83 }, 0, 1, 0, u8::from(found), 0, 0, 0, 0]);
    answer.extend(question);
    if found {
        // The name is at offset 12; type A, class IN, 60 s, 4 bytes.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(ADDRESS.parse::<std::net::Ipv4Addr>().unwrap().octets());
    }
    Some(answer)
}
