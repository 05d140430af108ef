//! Programs that take a terminal's screen, and give it back.

use dind_tests::outer::Node;
use dind_tests::terminal::OnTerminal;

/// What a program that has taken the screen writes when it gives it back.
pub(crate) const LEFT: &str = "\x1b[?25h\x1b[?1049l";

/// A program of the image in the node's namespaces, on a terminal itself: `docker exec --tty` would be another one.
pub(crate) fn in_node(node: &Node, words: &[&str]) -> OnTerminal {
    let entering = node.entering().unwrap();
    let words: Vec<_> = entering.iter().map(String::as_str).chain(words.iter().copied()).collect();
    OnTerminal::start_sized(&words, 100, 24)
}

/// Waits for the end; the terminal is as it was. Gives the exit status; none where a signal has ended what we have started.
pub(crate) fn ended(mut terminal: OnTerminal) -> Option<i32> {
    let status = terminal.end();
    assert!(terminal.is_as_before(), "{:?}", terminal.text);
    assert!(terminal.text.trim_end().ends_with(LEFT), "{:?}", terminal.text);
    status.code()
}
