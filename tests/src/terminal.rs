//! Programs on a terminal of their own.

use crate::{eventually, stretched};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{Winsize, openpty};
use nix::sys::termios::{LocalFlags, tcgetattr};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// For what a program shows, and for one that is about to end.
const SOON: Duration = Duration::from_secs(20);

/// A program on a terminal of its own.
#[derive(Debug)]
pub struct OnTerminal {
    child: Child,
    screen: File,
    slave: OwnedFd,
    /// Its settings before the program had it.
    before: LocalFlags,
    /// All that was written to it.
    pub text: String,
}

impl OnTerminal {
    /// Starts it in a session of its own, on a terminal of 80 columns.
    #[must_use]
    pub fn start(command: &[impl AsRef<OsStr>]) -> Self {
        Self::start_sized(command, 80, 24)
    }

    /// The same, on a terminal of another size.
    #[must_use]
    pub fn start_sized(command: &[impl AsRef<OsStr>], columns: u16, lines: u16) -> Self {
        let mut session = Command::new("setsid");
        session.args(["--ctty", "--wait"]).args(command);
        Self::open(session, columns, lines)
    }

    /// Starts a command on a terminal with so many columns. It belongs to no session of the terminal.
    #[must_use]
    pub fn spawn(command: Command, columns: u16) -> Self {
        Self::open(command, columns, 24)
    }

    fn open(mut command: Command, columns: u16, lines: u16) -> Self {
        let size = Winsize { ws_row: lines, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).unwrap();
        let before = tcgetattr(&pty.slave).unwrap().local_flags;
        let side = || pty.slave.try_clone().unwrap();
        let child = command.stdin(side()).stdout(side()).stderr(side()).spawn().unwrap();
        Self { child, screen: File::from(pty.master), slave: pty.slave, before, text: String::new() }
    }

    /// The process that was started.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Reads until the screen has shown this. Returns all that it has shown.
    pub fn until(&mut self, expected: &str) -> &str {
        self.until_all(expected, |text| text.contains(expected));
        &self.text
    }

    /// Reads until `holds` of what was written since the last time, and returns that.
    pub fn until_next(&mut self, what: &str, holds: impl Fn(&str) -> bool) -> String {
        let seen = self.text.len();
        self.until_all(what, |text| holds(&text[seen..]));
        self.text[seen..].to_owned()
    }

    fn until_all(&mut self, what: &str, holds: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + stretched(SOON);
        while !holds(&self.text) {
            let ended = self.child.try_wait().unwrap();
            if !self.read(PollTimeout::from(100_u16)) {
                assert!(ended.is_none(), "{what}: the program has ended: {:?}", self.text);
            }
            assert!(Instant::now() < deadline, "{what}: {:?}", self.text);
        }
    }

    /// Reads what there is, or comes within this time. Returns whether there was something.
    fn read(&mut self, limit: PollTimeout) -> bool {
        if poll(&mut [PollFd::new(self.screen.as_fd(), PollFlags::POLLIN)], limit).unwrap() == 0 {
            return false;
        }
        let mut bytes = [0; 4096];
        let count = self.screen.read(&mut bytes).unwrap();
        self.text.push_str(&String::from_utf8_lossy(&bytes[..count]));
        count > 0
    }

    /// Types.
    pub fn type_in(&mut self, keys: &[u8]) {
        self.screen.write_all(keys).unwrap();
    }

    /// Gives it another size, as a window does: the kernel sends the program a signal.
    pub fn resize(&self, columns: u16, lines: u16) {
        let size = rustix::termios::Winsize { ws_row: lines, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&self.screen, size).unwrap();
    }

    /// Whether keys are shown and come by the line, as a shell has it.
    #[must_use]
    pub fn is_a_shell_s(&self) -> bool {
        self.flags().contains(LocalFlags::ICANON | LocalFlags::ECHO)
    }

    /// Whether its settings are those that it had before the program.
    #[must_use]
    pub fn is_as_before(&self) -> bool {
        self.flags() == self.before
    }

    fn flags(&self) -> LocalFlags {
        tcgetattr(&self.slave).unwrap().local_flags
    }

    /// Waits for the program's end, and reads all that it has shown.
    pub fn end(&mut self) -> ExitStatus {
        let ended = eventually("the program ends", SOON, || {
            // A program whose output nobody reads would wait.
            while self.read(PollTimeout::ZERO) {}
            self.child.try_wait().unwrap()
        });
        while self.read(PollTimeout::ZERO) {}
        ended
    }

    /// The status that it ends with.
    #[must_use]
    pub fn status(mut self) -> i32 {
        self.end().code().unwrap()
    }

    /// The status that it ends with, and all that it has shown, with the line ends of a file.
    #[must_use]
    pub fn to_the_end(mut self) -> (i32, String) {
        let status = self.end().code().unwrap();
        (status, self.text.replace("\r\n", "\n"))
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
