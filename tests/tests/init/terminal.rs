//! The terminal: handed over to the command, and taken back.

use super::harness::{SOON, Stand, words};
use dind_tests::eventually;
use nix::pty::{Winsize, openpty};
use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command};

/// A program in a session of its own, on a terminal of its own.
struct OnTerminal {
    child: Child,
    screen: File,
    text: String,
}

impl OnTerminal {
    fn start(command: &[String]) -> Self {
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).unwrap();
        let mut session = Command::new("setsid");
        session.args(["--ctty", "--wait"]).args(command);
        session
            .stdin(pty.slave.try_clone().unwrap())
            .stdout(pty.slave.try_clone().unwrap())
            .stderr(pty.slave);
        Self { child: session.spawn().unwrap(), screen: File::from(pty.master), text: String::new() }
    }

    /// Reads until the screen shows this.
    fn until(&mut self, expected: &str) -> &str {
        while !self.text.contains(expected) {
            let mut bytes = [0; 256];
            let count = self.screen.read(&mut bytes).unwrap_or_else(|error| panic!("{error}: {}", self.text));
            self.text.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
        &self.text
    }

    fn type_in(&mut self, keys: &[u8]) {
        self.screen.write_all(keys).unwrap();
    }

    fn status(mut self) -> i32 {
        let ended = eventually("the program ends", SOON, || self.child.try_wait().unwrap());
        ended.code().unwrap()
    }
}

fn exec(command: &[&str]) -> Vec<String> {
    let mut words = words(Stand::Other);
    words.extend(command.iter().map(|&word| word.to_owned()));
    words
}

/// Prints the own process group and the terminal's foreground group: fields 5 and 8 of proc(5)'s stat.
const GROUPS: &str = "read -r stat </proc/self/stat; set -- $stat; echo own=$5 foreground=$8=";

fn same_groups(screen: &str) -> bool {
    let groups = screen.split_once("own=").unwrap().1;
    let (own, rest) = groups.split_once(" foreground=").unwrap();
    own == rest.split_once('=').unwrap().0
}

#[test]
fn the_command_has_the_terminal_and_ctrl_c_reaches_it() {
    let script = format!("{GROUPS}; echo ready; exec sleep 60");
    let mut terminal = OnTerminal::start(&exec(&["sh", "-c", &script]));
    assert!(same_groups(terminal.until("ready")), "{}", terminal.text);
    terminal.type_in(b"\x03");
    assert_eq!(terminal.status(), 130);
}

#[test]
fn a_terminal_that_stops_background_writers_does_not_stop_the_init() {
    let script = "stty tostop; echo ready; exit 4";
    let mut terminal = OnTerminal::start(&exec(&["sh", "-c", script]));
    terminal.until("ready");
    assert_eq!(terminal.status(), 4);
    // The init itself writes here, from the background.
    let script = format!("stty tostop; exec {} /nonexistent", exec(&[]).join(" "));
    let mut terminal = OnTerminal::start(&["sh".into(), "-c".into(), script]);
    terminal.until("cannot execute");
    assert_eq!(terminal.status(), 127);
}

#[test]
fn the_shell_that_started_the_init_gets_the_terminal_back() {
    let script = format!("{} true; {GROUPS}; read line; echo got $line; exit 6", exec(&[]).join(" "));
    let mut terminal = OnTerminal::start(&["sh".into(), "-c".into(), script]);
    terminal.until("=\r");
    terminal.type_in(b"hello\n");
    assert!(same_groups(terminal.until("got hello")), "{}", terminal.text);
    assert_eq!(terminal.status(), 6);
}

#[test]
fn stdin_from_a_pipe_leaves_the_terminal_to_the_command() {
    let script = format!("true | {} sh -c '{GROUPS}; exit 8'", exec(&[]).join(" "));
    let mut terminal = OnTerminal::start(&["sh".into(), "-c".into(), script]);
    assert!(same_groups(terminal.until("=\r")), "{}", terminal.text);
    assert_eq!(terminal.status(), 8);
}
