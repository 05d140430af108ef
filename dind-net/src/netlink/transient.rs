//! Errors that say nothing of what was asked: an interrupted call, a full buffer, a listing that changed while it was read. What
//! was asked is asked again; no decision is made on them.

use nix::libc::{EAGAIN, EINTR, ENOBUFS, ENOMEM};
use std::io::{self, ErrorKind};

/// How often something is asked.
const ATTEMPTS: usize = 8;

/// Whether an error says nothing of what was asked.
#[must_use]
pub fn is_transient(error: &io::Error) -> bool {
    // rtnetlink gives up its connection at any error of the socket.
    matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::TimedOut | ErrorKind::BrokenPipe)
        || matches!(error.raw_os_error(), Some(EINTR | EAGAIN | ENOBUFS | ENOMEM))
}

/// Asks until the answer is another one, or this one has come too often. An answer that does not come has been waited for.
///
/// # Errors
/// That of the last attempt.
pub fn retry<T>(mut ask: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let mut answer = ask();
    for _ in 1..ATTEMPTS {
        match &answer {
            Err(error) if is_transient(error) && error.kind() != ErrorKind::TimedOut => answer = ask(),
            _ => break,
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_says_nothing_is_asked_again() {
        for (errno, asked) in
            [(EINTR, ATTEMPTS), (EAGAIN, ATTEMPTS), (ENOBUFS, ATTEMPTS), (nix::libc::EPERM, 1)]
        {
            let mut count = 0;
            let answer = retry(|| {
                count += 1;
                Err::<(), _>(io::Error::from_raw_os_error(errno))
            });
            assert_eq!((answer.unwrap_err().raw_os_error(), count), (Some(errno), asked));
        }
        let mut answers = [Err(io::ErrorKind::Interrupted.into()), Ok(7)].into_iter();
        assert_eq!(retry(|| answers.next().unwrap()).unwrap(), 7);
    }
}
