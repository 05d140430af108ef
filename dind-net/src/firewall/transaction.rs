//! Changes what nf_tables holds: read, decided, and sent as one transaction, again if somebody else's came between.

use super::content::Content;
use crate::netlink::nftables::batch::Batch;
use crate::netlink::nftables::socket::Conversation;
use crate::netlink::transient;
use nix::libc::ERESTART;
use std::io;

/// How often a change is tried when somebody else's always comes between; each try takes less than a millisecond.
const ATTEMPTS: usize = 8;

/// A transaction that was carried out. Dropping it waits until the kernel has freed what was removed, see [`Conversation`]:
/// whoever has other work does that first.
#[must_use]
#[derive(Debug)]
pub struct Changed(Option<Conversation>);

impl Changed {
    /// Whether there was anything to do.
    #[must_use]
    pub fn happened(&self) -> bool {
        self.0.is_some()
    }
}

/// Changes what nf_tables holds in one transaction, which happens whole or not at all, and only to what `decide` has seen.
///
/// # Errors
/// Those of the kernel; `ENOENT` and `EOPNOTSUPP` mean that the kernel was built without a part.
pub fn change(decide: impl Fn(&Content) -> Batch) -> io::Result<Changed> {
    let mut outcome = Err(io::Error::from_raw_os_error(ERESTART));
    for _ in 0..ATTEMPTS {
        // A new socket: answers to the last attempt may still be in the old one.
        let (conversation, content) = transient::retry(|| {
            let conversation = Conversation::open()?;
            let content = Content::read(&conversation)?;
            Ok((conversation, content))
        })?;
        let batch = decide(&content);
        if batch.is_empty() {
            return Ok(Changed(None));
        }
        outcome = conversation.commit(&batch, content.generation).map(|()| Changed(Some(conversation)));
        if !matches!(&outcome, Err(error) if error.raw_os_error() == Some(ERESTART)) {
            break;
        }
    }
    outcome
}
