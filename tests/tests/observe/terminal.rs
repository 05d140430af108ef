//! A terminal, and a program on it.

use dind_tests::eventually;
use dind_tests::outer::{LIMIT, Node};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{Winsize, openpty};
use nix::sys::termios::{LocalFlags, tcgetattr};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command};
use std::time::Instant;

/// What a program that has taken the screen writes when it gives it back.
pub(crate) const LEFT: &str = "\x1b[?25h\x1b[?1049l";

/// A program in a session of its own, on a terminal of its own.
pub(crate) struct Terminal {
    pub(crate) child: Child,
    screen: File,
    slave: OwnedFd,
    /// Its settings before the program had it.
    before: LocalFlags,
    /// All that was written to it.
    pub(crate) text: String,
}

impl Terminal {
    pub(crate) fn start(words: &[&str], columns: u16, lines: u16) -> Self {
        let size = Winsize { ws_row: lines, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).unwrap();
        let before = tcgetattr(&pty.slave).unwrap().local_flags;
        let mut session = Command::new("setsid");
        session.args(["--ctty", "--wait"]).args(words).env("DOCKER_HOST", dind_tests::outer::host());
        session
            .stdin(pty.slave.try_clone().unwrap())
            .stdout(pty.slave.try_clone().unwrap())
            .stderr(pty.slave.try_clone().unwrap());
        let child = session.spawn().unwrap();
        Self { child, screen: File::from(pty.master), slave: pty.slave, before, text: String::new() }
    }

    /// A program of the image in the node's namespaces, on this terminal itself: `docker exec --tty` would be another one.
    pub(crate) fn in_node(node: &Node, words: &[&str]) -> Self {
        let entering = node.entering().unwrap();
        Self::start(
            &entering.iter().map(String::as_str).chain(words.iter().copied()).collect::<Vec<_>>(),
            100,
            24,
        )
    }

    /// Reads until `holds` of what was written since the last time.
    pub(crate) fn until(&mut self, what: &str, holds: impl Fn(&str) -> bool) -> String {
        let seen = self.text.len();
        let deadline = Instant::now() + dind_tests::stretched(LIMIT);
        while !holds(&self.text[seen..]) {
            let mut fds = [PollFd::new(self.screen.as_fd(), PollFlags::POLLIN)];
            let ready = poll(&mut fds, PollTimeout::from(100_u16)).unwrap();
            if ready > 0 {
                let mut bytes = [0; 4096];
                let count = self
                    .screen
                    .read(&mut bytes)
                    .unwrap_or_else(|error| panic!("{what}: {error}: {}", self.text));
                self.text.push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
            assert!(Instant::now() < deadline, "{what}: {:?}", self.text);
        }
        self.text[seen..].to_owned()
    }

    pub(crate) fn type_in(&mut self, keys: &[u8]) {
        self.screen.write_all(keys).unwrap();
    }

    /// Gives it another size, as a window does: the kernel sends the program a signal.
    pub(crate) fn resize(&self, columns: u16, lines: u16) {
        let size = rustix::termios::Winsize { ws_row: lines, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&self.screen, size).unwrap();
    }

    /// Waits for the end; the terminal is as it was. Gives the exit status; none where a signal has ended what we have started.
    pub(crate) fn ended(mut self) -> Option<i32> {
        let status = eventually("the program ends", LIMIT, || {
            let mut fds = [PollFd::new(self.screen.as_fd(), PollFlags::POLLIN)];
            if poll(&mut fds, PollTimeout::ZERO).unwrap() > 0 {
                let mut bytes = [0; 4096];
                let count = self.screen.read(&mut bytes).unwrap_or(0);
                self.text.push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
            self.child.try_wait().unwrap()
        });
        while poll(&mut [PollFd::new(self.screen.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO).unwrap() > 0
        {
            let mut bytes = [0; 4096];
            let count = self.screen.read(&mut bytes).unwrap_or(0);
            self.text.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
        assert_eq!(tcgetattr(&self.slave).unwrap().local_flags, self.before, "{:?}", self.text);
        assert!(self.text.trim_end().ends_with(LEFT), "{:?}", self.text);
        status.code()
    }

    /// Whether keys are shown and come by the line, as a shell has it.
    pub(crate) fn is_a_shell_s(&self) -> bool {
        tcgetattr(&self.slave).unwrap().local_flags.contains(LocalFlags::ICANON | LocalFlags::ECHO)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
