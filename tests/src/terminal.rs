//! Programs on a terminal of their own.

use crate::eventually;
use nix::pty::{Winsize, openpty};
use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command};
use std::time::Duration;

/// For a program that is about to end.
const SOON: Duration = Duration::from_secs(10);

/// A program in a session of its own, on a terminal of its own.
#[derive(Debug)]
pub struct OnTerminal {
    child: Child,
    screen: File,
    /// What the screen has shown so far.
    pub text: String,
}

impl OnTerminal {
    /// Starts it on a terminal of 80 columns.
    #[must_use]
    pub fn start(command: &[String]) -> Self {
        let mut session = Command::new("setsid");
        session.args(["--ctty", "--wait"]).args(command);
        Self::spawn(session, 80)
    }

    /// Starts a command on a terminal with so many columns. It belongs to no session of the terminal.
    #[must_use]
    pub fn spawn(mut command: Command, columns: u16) -> Self {
        let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).unwrap();
        command
            .stdin(pty.slave.try_clone().unwrap())
            .stdout(pty.slave.try_clone().unwrap())
            .stderr(pty.slave);
        Self { child: command.spawn().unwrap(), screen: File::from(pty.master), text: String::new() }
    }

    /// Reads until the screen shows this.
    pub fn until(&mut self, expected: &str) -> &str {
        while !self.text.contains(expected) {
            assert!(self.read(), "the program has ended: {}", self.text);
        }
        &self.text
    }

    /// Reads some. Returns false when nobody is left who could write.
    fn read(&mut self) -> bool {
        let mut bytes = [0; 256];
        // Linux reports the end of a terminal's last writer as EIO.
        let count = self.screen.read(&mut bytes).unwrap_or(0);
        self.text.push_str(&String::from_utf8_lossy(&bytes[..count]));
        count > 0
    }

    /// Types.
    pub fn type_in(&mut self, keys: &[u8]) {
        self.screen.write_all(keys).unwrap();
    }

    /// The status that it ends with.
    #[must_use]
    pub fn status(mut self) -> i32 {
        self.end()
    }

    /// The status that it ends with, and all that it has shown, with the line ends of a file.
    #[must_use]
    pub fn to_the_end(mut self) -> (i32, String) {
        while self.read() {}
        (self.end(), self.text.replace("\r\n", "\n"))
    }

    fn end(&mut self) -> i32 {
        let ended = eventually("the program ends", SOON, || self.child.try_wait().unwrap());
        ended.code().unwrap()
    }
}
