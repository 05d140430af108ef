//! The terminal: handed over to the command, and taken back.

use super::harness::{Stand, words};
use dind_tests::terminal::OnTerminal;

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
