//! Text for people: labelled paragraphs that fit the terminal, in colour where it has any.

use rustix::termios::tcgetwinsize;
use std::io::{IsTerminal, stdout};

/// Without a terminal, or where it does not know its size.
const WIDTH: usize = 80;
/// Narrower columns have no room for words.
const LEAST_WIDTH: usize = 40;
/// Longer lines are hard to read.
const MOST_WIDTH: usize = 120;

/// How a word stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// As the rest.
    Plain,
    /// What everything else belongs to.
    Strong,
    /// All is well.
    Good,
    /// It works, but not as it could.
    Caution,
    /// It does not work.
    Bad,
}

impl Ink {
    /// The parameters of SGR (ECMA-48, 8.3.117).
    fn parameters(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Strong => Some("1"),
            Self::Good => Some("32"),
            Self::Caution => Some("33"),
            Self::Bad => Some("1;31"),
        }
    }
}

/// What text is written for.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    colour: bool,
    width: usize,
}

impl Screen {
    /// That of stdout. No colour in a pipe, on a terminal without it, and where `NO_COLOR` is set (no-color.org).
    #[must_use]
    pub fn of_stdout() -> Self {
        let is_terminal = stdout().is_terminal();
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let has_colour = set("TERM").is_some_and(|term| term != "dumb");
        let size = is_terminal.then(|| tcgetwinsize(stdout()).ok()).flatten();
        let width = size.map(|size| usize::from(size.ws_col)).filter(|width| *width > 0);
        Self {
            colour: is_terminal && has_colour && set("NO_COLOR").is_none(),
            width: width.unwrap_or(WIDTH).clamp(LEAST_WIDTH, MOST_WIDTH),
        }
    }

    /// Without colour, and this wide.
    #[must_use]
    pub fn plain(width: usize) -> Self {
        Self { colour: false, width }
    }

    /// Colours a text.
    #[must_use]
    pub fn paint(&self, ink: Ink, text: &str) -> String {
        match ink.parameters().filter(|_| self.colour) {
            Some(parameters) => format!("\x1b[{parameters}m{text}\x1b[0m"),
            None => text.to_owned(),
        }
    }

    /// A paragraph beside its label, which has a column of its own. Control characters are escaped: no value moves the cursor.
    #[must_use]
    pub fn labelled(&self, (ink, label, column): (Ink, &str, usize), text: &str) -> Vec<String> {
        let column = column + 2;
        let mut lines = wrap(&printable(text), self.width.saturating_sub(column).max(LEAST_WIDTH / 2));
        if lines.is_empty() {
            lines.push(String::new());
        }
        let pad = " ".repeat(column.saturating_sub(label.chars().count()));
        let first = format!("{}{pad}", self.paint(ink, &printable(label)));
        let others = std::iter::repeat(" ".repeat(column));
        std::iter::once(first).chain(others).zip(lines).map(|(before, line)| before + &line).collect()
    }
}

/// Escapes what is no character to be seen.
fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

/// Breaks at spaces. A word that is longer than a line stays whole: it may be copied.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// A size as people read it: `1.5 GiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let unit = (bytes.max(1).ilog2() as usize / 10).min(UNITS.len() - 1);
    if unit == 0 {
        return format!("{bytes} {}", UNITS[0]);
    }
    let tenths = ((bytes as u128 * 10) >> (unit * 10)) as u64;
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paragraph_stays_beside_its_label() {
        let lines = Screen::plain(40).labelled(
            (Ink::Bad, "missing", 8),
            "one two three four five six seven eight --device-cgroup-rule=a-long-one",
        );
        assert_eq!(
            lines,
            [
                "missing   one two three four five six",
                "          seven eight",
                "          --device-cgroup-rule=a-long-one"
            ]
        );
        assert_eq!(Screen::plain(40).labelled((Ink::Plain, "x", 1), ""), ["x  "]);
    }

    #[test]
    fn no_value_moves_the_cursor_and_colour_is_switched_off_again() {
        let screen = Screen { colour: true, width: 80 };
        let [line] = &screen.labelled((Ink::Bad, "a", 1), "b\x1b[2Jc\nd")[..] else { panic!("more lines") };
        assert_eq!(line, "\x1b[1;31ma\x1b[0m  b\\u{1b}[2Jc\\nd");
        assert_eq!(Screen::plain(80).paint(Ink::Bad, "a"), "a");
        assert_eq!(screen.paint(Ink::Plain, "a"), "a");
    }

    #[test]
    fn sizes() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1536 << 20, "1.5 GiB"),
            (80 << 30, "80.0 GiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
