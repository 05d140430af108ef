//! The small init that `dind-launch` and `dind-reaper exec` are made of: one owner of signals and waits.
//!
//! The rules, and where they come from:
//! * Signals are blocked before anything else is done and read from a signalfd. A namespace's PID 1 gets no signal
//!   that it does not ask for (pid_namespaces(7)), so there is no moment at which one may be missed.
//! * One place waits for children, and it waits for all of them: SIGCHLD is coalesced, so each wake-up reaps until
//!   nothing is left. Nobody else may call wait, or a status is stolen.
//! * A child gets back what we took: the signal mask, and SIGCHLD and SIGPIPE as they were. It gets no descriptor above 2 (CVE-2024-21626 was one that leaked).
//! * Not PID 1? Then we become the subreaper (prctl(2)), and orphans below us come to us all the same.

use crate::child::{close_on_exec, own_terminal, take_terminal};
use crate::dispositions::Dispositions;
use crate::helper::{die_with, timeout};
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Pid, getpid, setpgid, setsid};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::time::Instant;

pub use crate::child::{ChildId, ExitStatus, SpawnMode, exec_status};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A signal came, by number; real-time signals have no name.
    Signal(i32),
    /// A child that we spawned ended. Orphans are reaped without a word.
    Exited(ChildId, ExitStatus),
    /// The watched descriptor with this index can be read, or its other end is closed.
    Ready(usize),
    /// The deadline passed first.
    Deadline,
}

/// The init. There is one to a process.
#[derive(Debug)]
pub struct Supervisor {
    signals: SignalFd,
    inherited_mask: SigSet,
    inherited_dispositions: Dispositions,
    /// Those that have not been waited for, with their serial numbers.
    children: BTreeMap<Pid, u64>,
    spawned: u64,
    events: VecDeque<Event>,
    /// The watched descriptor whose turn it is, by index.
    turn: usize,
    /// Signals have been read since the deadline passed.
    overdue: bool,
}

impl AsFd for Supervisor {
    /// Can be read when a signal has come, a child's end included: for whoever waits in an event loop of another make,
    /// and then calls [`Supervisor::next`] with a deadline that has passed until it says [`Event::Deadline`].
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.signals.as_fd()
    }
}

/// How many signals are read at once. Those that are not real-time signals come first, and there are only 31.
const SIGNALS_AT_ONCE: usize = 64;

/// Signals that are ours alone if they come: they mean that this very program is broken.
const OWN: [Signal; 7] = [
    Signal::SIGFPE,
    Signal::SIGILL,
    Signal::SIGSEGV,
    Signal::SIGBUS,
    Signal::SIGABRT,
    Signal::SIGTRAP,
    Signal::SIGSYS,
];

impl Supervisor {
    /// Takes over signals and orphans. Call it first, while there is one thread.
    ///
    /// # Errors
    /// Those of sigprocmask, signalfd and prctl.
    pub fn new() -> io::Result<Self> {
        let mut wanted = SigSet::all();
        for own in OWN {
            wanted.remove(own);
        }
        let mut inherited_mask = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&wanted), Some(&mut inherited_mask))?;
        let inherited_dispositions = Dispositions::take_over()?;
        let signals = SignalFd::with_flags(&wanted, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        if getpid().as_raw() != 1 {
            nix::sys::prctl::set_child_subreaper(true)?;
        }
        let mut init = Self {
            signals,
            inherited_mask,
            inherited_dispositions,
            children: BTreeMap::new(),
            spawned: 0,
            events: VecDeque::new(),
            turn: 0,
            overdue: false,
        };
        // A shell that became us by `exec` may leave us children whose SIGCHLD it has already had.
        init.reap();
        Ok(init)
    }

    /// Starts a child. The handle is for its pipes only: its status comes as an [`Event::Exited`].
    ///
    /// # Errors
    /// Those of fork and exec; [`exec_status`] turns them into an exit status.
    pub fn spawn(&mut self, command: &mut Command, mode: SpawnMode) -> io::Result<(ChildId, Child)> {
        let (mask, dispositions) = (self.inherited_mask, self.inherited_dispositions);
        let parent = getpid();
        // SAFETY: between fork and exec only async-signal-safe calls are made: setsid, setpgid, tcsetpgrp, ioctl, open,
        // prctl, getppid, close_range, fcntl, sigaction, sigprocmask.
        #[allow(unsafe_code)]
        unsafe {
            command.pre_exec(move || {
                match mode {
                    SpawnMode::Session => {
                        setsid()?;
                        die_with(parent)?;
                    }
                    SpawnMode::Terminal => {
                        setsid()?;
                        own_terminal();
                    }
                    SpawnMode::Foreground => {
                        setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
                        take_terminal();
                    }
                }
                close_on_exec();
                dispositions.give_back()?;
                // Last: until here a stop signal from the terminal would have stopped the child half-made.
                sigprocmask(SigmaskHow::SIG_SETMASK, Some(&mask), None)?;
                Ok(())
            });
        }
        let child = command.spawn()?;
        let pid = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
        self.spawned += 1;
        self.children.insert(pid, self.spawned);
        Ok((ChildId { serial: self.spawned, pid }, child))
    }

    /// Starts a child that goes on in our own program, in new namespaces: `namespaces` are flags of clone(2). It has signals as we
    /// were given them, and ends with what `child` returns. Call it while there is one thread, as fork(2) wants it.
    ///
    /// # Errors
    /// Those of clone(2).
    pub fn fork(&mut self, namespaces: i32, child: impl FnOnce() -> u8) -> io::Result<ChildId> {
        let flags = libc::c_long::from(namespaces | libc::SIGCHLD);
        // SAFETY: without a stack and without shared memory this is fork(2), which the C library has no flags for. All other
        // arguments are null, so that their order, which differs between architectures, does not matter.
        #[allow(unsafe_code)]
        let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
        if pid == 0 {
            let ready = self.inherited_dispositions.give_back();
            let mask = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.inherited_mask), None);
            let status = if ready.is_ok() && mask.is_ok() { child() } else { 1 };
            // SAFETY: ends this process; what was registered for its exit is the parent's.
            #[allow(unsafe_code)]
            unsafe {
                libc::_exit(i32::from(status))
            }
        }
        let pid = Errno::result(pid)?;
        let pid = Pid::from_raw(i32::try_from(pid).map_err(io::Error::other)?);
        self.spawned += 1;
        self.children.insert(pid, self.spawned);
        Ok(ChildId { serial: self.spawned, pid })
    }

    /// Waits for the next event: a signal, the end of a child, a watched descriptor, the deadline.
    ///
    /// No source keeps another one waiting: signals and ends come first, but only once when the deadline has passed, then
    /// the deadline, then the watched descriptors in turn. One that is always ready cannot delay the deadline.
    ///
    /// # Errors
    /// Those of poll and of reading the signalfd. None is expected, and none need be the end of an init: signals and ends
    /// are reported by the next call all the same.
    pub fn next(&mut self, watched: &[BorrowedFd<'_>], deadline: Option<Instant>) -> io::Result<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            let passed = left.is_some_and(|left| left.is_zero());
            if std::mem::take(&mut self.overdue) && passed {
                return Ok(Event::Deadline);
            }
            let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
            fds.extend(watched.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)));
            match poll(&mut fds, left.map_or(PollTimeout::NONE, timeout)) {
                Ok(_) => {}
                Err(Errno::EINTR) => continue,
                Err(error) => {
                    self.read_signals()?;
                    return self.events.pop_front().ok_or_else(|| error.into());
                }
            }
            let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(true)).collect();
            let (signals, watched) = (ready[0], &ready[1..]);
            let in_turn = (0..watched.len()).map(|n| (self.turn + n) % watched.len());
            if signals {
                self.read_signals()?;
                self.overdue = passed;
            } else if passed {
                return Ok(Event::Deadline);
            } else if let Some(index) = in_turn.into_iter().find(|index| watched[*index]) {
                self.turn = index + 1;
                return Ok(Event::Ready(index));
            }
        }
    }

    /// Whether the child has not been waited for: until then its pid is its own, and may be signalled.
    #[must_use]
    pub fn is_running(&self, child: ChildId) -> bool {
        self.children.get(&child.pid) == Some(&child.serial)
    }

    fn read_signals(&mut self) -> io::Result<()> {
        for _ in 0..SIGNALS_AT_ONCE {
            let Some(info) = self.signals.read_signal()? else { break };
            let number = i32::try_from(info.ssi_signo).map_err(io::Error::other)?;
            if number == Signal::SIGCHLD as i32 {
                self.reap();
            } else if number == Signal::SIGPIPE as i32 && info.ssi_pid == std::process::id() {
                // Our own write to a reader that has gone, which the write itself reports. A blocked signal comes even
                // where it is ignored; passed on, this one would end the command.
            } else {
                self.events.push_back(Event::Signal(number));
            }
        }
        Ok(())
    }

    /// Waits for whatever has ended, ours and orphans.
    fn reap(&mut self) {
        loop {
            let mut raw = 0;
            // SAFETY: `raw` outlives the call. nix's waitpid loses a child that a real-time signal has ended: it has
            // no name for the signal and returns EINVAL without the pid.
            #[allow(unsafe_code)]
            let pid = unsafe { libc::waitpid(-1, &raw mut raw, libc::WNOHANG) };
            if pid <= 0 {
                return;
            }
            let status = if libc::WIFSIGNALED(raw) {
                ExitStatus::Signaled(libc::WTERMSIG(raw))
            } else {
                ExitStatus::Exited((libc::WEXITSTATUS(raw) & 0xff) as u8)
            };
            let pid = Pid::from_raw(pid);
            if let Some(serial) = self.children.remove(&pid) {
                self.events.push_back(Event::Exited(ChildId { serial, pid }, status));
            }
        }
    }
}

/// Sends a signal by number, real-time signals included, to a process (`pid > 0`) or a group (`pid < 0`).
/// One that has ended is no error: it is what the signal was for.
///
/// # Errors
/// Those of kill(2), but for "no such process".
pub fn send(pid: i32, number: i32) -> io::Result<()> {
    // SAFETY: kill(2) takes two integers and touches no memory. nix has no way to send a real-time signal.
    #[allow(unsafe_code)]
    let answer = unsafe { libc::kill(pid, number) };
    match Errno::result(answer) {
        Ok(_) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
