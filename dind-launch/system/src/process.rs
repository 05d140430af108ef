//! A process that is no child of ours, known in such a way that its number cannot come to mean another one.

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, socket};
use nix::unistd::Pid;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;

/// A running process.
#[derive(Debug)]
pub struct Process {
    pid: Pid,
    /// In clock ticks after boot, field 22 of proc_pid_stat(5): with the pid it is unique.
    started: u64,
    /// Nothing on kernels before 5.3, and where a seccomp profile refuses pidfd_open(2).
    pidfd: Option<OwnedFd>,
}

impl Process {
    /// The process that has this number now.
    ///
    /// # Errors
    /// There is none.
    pub fn open(pid: Pid) -> io::Result<Self> {
        let started = Stat::read(pid)?.started;
        // SAFETY: the call takes two integers; what it returns is a descriptor of our own.
        #[allow(unsafe_code)]
        let opened = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
        let pidfd = match i32::try_from(opened) {
            // SAFETY: the kernel has just given us this descriptor, and nobody else knows it.
            #[allow(unsafe_code)]
            Ok(fd) if fd >= 0 => Some(unsafe { OwnedFd::from_raw_fd(fd) }),
            _ => None,
        };
        let process = Self { pid, started, pidfd };
        // Between the two looks the number may have passed on.
        if process.is_running() { Ok(process) } else { Err(Errno::ESRCH.into()) }
    }

    /// The process that listens at a unix socket, in our PID namespace (unix(7), `SO_PEERCRED`). An answer is not needed:
    /// a process that hangs is found, too.
    ///
    /// # Errors
    /// Nobody listens there, or it is in another PID namespace.
    pub fn that_listens_at(path: &Path) -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let client = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
        connect(client.as_raw_fd(), &UnixAddr::new(path)?)?;
        let pid = getsockopt(&client, PeerCredentials)?.pid();
        if pid > 0 { Self::open(Pid::from_raw(pid)) } else { Err(Errno::ESRCH.into()) }
    }

    /// Its number.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// When it began, in clock ticks after boot (proc_pid_stat(5), `starttime`).
    #[must_use]
    pub fn started_ticks(&self) -> u64 {
        self.started
    }

    /// The name of its program, at most 15 bytes (proc_pid_comm(5)).
    #[must_use]
    pub fn name(&self) -> String {
        let name = fs::read_to_string(format!("/proc/{}/comm", self.pid)).unwrap_or_default();
        name.trim_end().to_owned()
    }

    /// Becomes readable when the process has ended; nothing where the kernel cannot give one.
    #[must_use]
    pub fn end(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(AsFd::as_fd)
    }

    /// Whether it has not ended. A zombie has.
    #[must_use]
    pub fn is_running(&self) -> bool {
        let ended = self.end().map(|fd| poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], PollTimeout::ZERO));
        match ended {
            Some(Ok(ready)) => ready == 0 && self.stat().is_some(),
            _ => self.stat().is_some_and(|stat| !matches!(stat.state, 'Z' | 'X')),
        }
    }

    /// Whether it is stopped by a signal.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stat().is_some_and(|stat| stat.state == 'T')
    }

    fn stat(&self) -> Option<Stat> {
        Stat::read(self.pid).ok().filter(|stat| stat.started == self.started)
    }

    /// Sends a signal by number, real-time signals included. That it has ended is no error.
    ///
    /// # Errors
    /// Those of kill(2), but for "no such process".
    pub fn signal(&self, number: i32) -> io::Result<()> {
        let Some(pidfd) = &self.pidfd else {
            return if self.is_running() {
                crate::supervisor::send(self.pid.as_raw(), number)
            } else {
                Ok(())
            };
        };
        let info = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: without a siginfo_t the kernel fills in its own; the rest are integers.
        #[allow(unsafe_code)]
        let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), number, info, 0) };
        match Errno::result(sent) {
            Ok(_) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// What `/proc/PID/stat` says, as far as it is needed here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    state: char,
    started: u64,
}

impl Stat {
    fn read(pid: Pid) -> io::Result<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        Self::parse(&text).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// The name is in parentheses and may hold any byte, so the fields count from its last one.
    fn parse(text: &str) -> Option<Self> {
        let mut fields = text.rsplit_once(") ")?.1.split(' ');
        let state = fields.next()?.chars().next()?;
        Some(Self { state, started: fields.nth(18)?.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;
    use std::process::{Command, Stdio};

    #[test]
    fn the_start_is_found_behind_any_name() {
        let text = "7 (a) b ) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 12345 6 7\n";
        assert_eq!(Stat::parse(text), Some(Stat { state: 'S', started: 12345 }));
        assert_eq!(Stat::parse("7 (x) S 1"), None);
    }

    #[test]
    fn a_process_is_signalled_while_it_runs_and_seen_to_end() {
        let mut child = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
        let process = Process::open(Pid::from_raw(child.id().cast_signed())).unwrap();
        // Between fork and exec it has our name.
        while process.name() != "sleep" {
            std::thread::yield_now();
        }
        assert!(process.is_running() && !process.is_stopped());
        process.signal(libc::SIGKILL).unwrap();
        if let Some(end) = process.end() {
            poll(&mut [PollFd::new(end, PollFlags::POLLIN)], PollTimeout::NONE).unwrap();
            assert!(!process.is_running(), "a zombie");
        }
        child.wait().unwrap();
        assert!(!process.is_running());
        process.signal(libc::SIGKILL).unwrap();
        assert!(Process::open(process.pid()).is_err());
    }

    #[test]
    fn who_listens_is_known_without_an_answer() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        assert_eq!(Process::that_listens_at(&path).unwrap().pid(), Pid::this());
        drop(listener);
        assert!(Process::that_listens_at(&path).is_err());
    }
}
