//! The two signals whose disposition does not reach our children by itself: SIGCHLD, which we take, and SIGPIPE, which
//! Rust's runtime sets to "ignore" before main, and std to "default" in every child.

use nix::libc;
use nix::sys::signal::{SigHandler, Signal, signal};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Whether we were started with SIGPIPE ignored, as `nohup`-like wrappers and some CI agents do.
static PIPE_WAS_IGNORED: AtomicBool = AtomicBool::new(false);

/// Runs before main, and so before Rust's runtime: afterwards there is no way to know.
#[used]
#[allow(unsafe_code)]
// SAFETY: the section is an array of functions that libc calls at start, in this thread alone; ours calls sigaction
// and stores a flag, and needs nothing that is not there yet.
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = {
    extern "C" fn remember() {
        // SAFETY: a zeroed sigaction is a valid one to be written to, and outlives the call.
        #[allow(unsafe_code)]
        let ignored = unsafe {
            let mut old: libc::sigaction = std::mem::zeroed();
            libc::sigaction(libc::SIGPIPE, std::ptr::null(), &raw mut old) == 0
                && old.sa_sigaction == libc::SIG_IGN
        };
        PIPE_WAS_IGNORED.store(ignored, Relaxed);
    }
    remember
};

/// What our children get back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dispositions {
    child_ignored: bool,
    pipe_ignored: bool,
}

impl Dispositions {
    /// Makes SIGCHLD ours. An ignored one is inherited, and makes the kernel throw statuses away (wait(2), "ECHILD").
    pub(crate) fn take_over() -> io::Result<Self> {
        let child_ignored = matches!(set(Signal::SIGCHLD, SigHandler::SigDfl)?, SigHandler::SigIgn);
        Ok(Self { child_ignored, pipe_ignored: PIPE_WAS_IGNORED.load(Relaxed) })
    }

    /// Runs in the child, between fork and exec.
    pub(crate) fn give_back(self) -> io::Result<()> {
        for (number, ignored) in [(Signal::SIGCHLD, self.child_ignored), (Signal::SIGPIPE, self.pipe_ignored)]
        {
            if ignored {
                set(number, SigHandler::SigIgn)?;
            }
        }
        Ok(())
    }
}

fn set(number: Signal, handler: SigHandler) -> io::Result<SigHandler> {
    // SAFETY: no function of ours becomes a handler, only "default" and "ignore".
    #[allow(unsafe_code)]
    let old = unsafe { signal(number, handler) };
    Ok(old?)
}
