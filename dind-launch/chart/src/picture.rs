//! A picture under construction: elements, and text that is safe in XML.

use crate::scale::number;
use std::fmt::{Display, Write};

/// Width of a picture.
pub(crate) const WIDTH: f64 = 960.0;

/// Around it.
pub(crate) const MARGIN: f64 = 24.0;

/// Between two lines of text.
pub(crate) const LINE: f64 = 19.0;

/// Width of a letter of labels. Their font is one whose letters are all as wide, so that the layout holds with every reader's.
pub(crate) const LETTER: f64 = 7.3;

/// Letters in a line of the foot.
const FOOT: usize = 125;

/// A white ground with dark text, and the other way round where the reader's page is dark. The ground is part of the picture: whoever
/// shows it without that choice, on whatever ground, has a picture that can be read.
const STYLE: &str = "\
svg{font:12px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace}\
.ground{fill:#fff;stroke:#d1d9e0}.text{fill:#1f2328}.faint{fill:#59636e}.title{font-size:16px;font-weight:bold}\
.strong{font-weight:bold}.end{text-anchor:end}.middle{text-anchor:middle}.grid{stroke:#d1d9e0}.mark{stroke:#59636e;stroke-dasharray:4 4}\
.line{fill:none;stroke-width:2}\
.c0{fill:#0969da;stroke:#0969da}.c1{fill:#bc4c00;stroke:#bc4c00}.c2{fill:#1a7f37;stroke:#1a7f37}.c3{fill:#8250df;stroke:#8250df}\
.c4{fill:#9a6700;stroke:#9a6700}.bar{stroke:none}.open{fill-opacity:.45}\
@media(prefers-color-scheme:dark){\
.ground{fill:#0d1117;stroke:#3d444d}.text{fill:#f0f6fc}.faint{fill:#9198a1}.grid{stroke:#3d444d}.mark{stroke:#9198a1}\
.c0{fill:#4493f8;stroke:#4493f8}.c1{fill:#f0883e;stroke:#f0883e}.c2{fill:#3fb950;stroke:#3fb950}.c3{fill:#ab7df8;stroke:#ab7df8}\
.c4{fill:#d29922;stroke:#d29922}}\
.line{fill:none}.bar{stroke:none}";

/// How many colours there are.
const COLOURS: usize = 5;

/// The class of a colour; they come again after the last.
pub(crate) fn colour(index: usize) -> String {
    format!("c{}", index % COLOURS)
}

/// A picture under construction.
#[derive(Debug, Default)]
pub(crate) struct Picture {
    body: String,
    /// Where the next line would be.
    pub(crate) y: f64,
}

impl Picture {
    /// With a heading.
    pub(crate) fn new(title: &str, subtitle: &str) -> Self {
        let mut picture = Self { body: String::new(), y: MARGIN + 16.0 };
        picture.text(MARGIN, picture.y, "text title", title);
        picture.y += LINE;
        if !subtitle.is_empty() {
            picture.text(MARGIN, picture.y, "faint", subtitle);
            picture.y += LINE;
        }
        picture.y += 8.0;
        picture
    }

    /// Text that begins at `x`, on the base line `y`; with the class `end` or `middle` it ends or is centred there.
    pub(crate) fn text(&mut self, x: f64, y: f64, class: &str, text: &str) {
        self.element(format_args!(
            "<text x=\"{}\" y=\"{}\" class=\"{class}\">{}</text>",
            number(x),
            number(y),
            escape(text)
        ));
    }

    /// A rectangle, with a text that a pointer on it shows.
    pub(crate) fn rectangle(&mut self, [x, y, width, height]: [f64; 4], class: &str, tip: &str) {
        self.element(format_args!(
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"2\" class=\"{class}\"><title>{}</title></rect>",
            number(x),
            number(y),
            number(width),
            number(height),
            escape(tip)
        ));
    }

    /// A straight line.
    pub(crate) fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        self.element(format_args!(
            "<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" class=\"{class}\"/>",
            number(from.0),
            number(from.1),
            number(to.0),
            number(to.1)
        ));
    }

    /// A line through points.
    pub(crate) fn path(&mut self, points: &[(f64, f64)], class: &str) {
        let points: Vec<_> = points.iter().map(|(x, y)| format!("{},{}", number(*x), number(*y))).collect();
        self.element(format_args!("<polyline points=\"{}\" class=\"{class}\"/>", points.join(" ")));
    }

    /// A point, with a text that a pointer on it shows.
    pub(crate) fn dot(&mut self, (x, y): (f64, f64), class: &str, tip: &str) {
        self.element(format_args!(
            "<circle cx=\"{}\" cy=\"{}\" r=\"3.5\" class=\"{class}\"><title>{}</title></circle>",
            number(x),
            number(y),
            escape(tip)
        ));
    }

    fn element(&mut self, element: impl Display) {
        // A string takes everything.
        let _ = writeln!(self.body, "{element}");
    }

    /// The document, with lines below the picture.
    pub(crate) fn finish(mut self, title: &str, foot: &[String]) -> String {
        self.y += 4.0;
        for line in foot.iter().flat_map(|line| wrap(line, FOOT)) {
            self.text(MARGIN, self.y, "faint", &line);
            self.y += LINE;
        }
        let (width, height) = (number(WIDTH), number((self.y - LINE + MARGIN).ceil()));
        let title = escape(title);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\" xml:space=\"preserve\">\n\
             <title>{title}</title>\n<style>{STYLE}</style>\n\
             <rect x=\".5\" y=\".5\" width=\"{}\" height=\"{}\" rx=\"6\" class=\"ground\"/>\n{}</svg>\n",
            number(WIDTH - 1.0),
            number((self.y - LINE + MARGIN).ceil() - 1.0),
            self.body
        )
    }
}

/// Text as XML takes it. Characters that no XML document may hold (XML 1.0, 2.2) are replaced.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\t' | '\n' | '\r' => safe.push(' '),
            '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

/// Text in the width of some letters: what is longer ends in a mark.
pub(crate) fn cut(text: &str, letters: usize) -> String {
    if text.chars().count() <= letters {
        return text.to_owned();
    }
    text.chars().take(letters.saturating_sub(1)).chain(['…']).collect()
}

/// Lines of at most so many letters, broken between words.
fn wrap(text: &str, letters: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last().map_or(0, |line| line.chars().count());
        if line > 0 && line + 1 + word.chars().count() > letters {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            let space = if line.is_empty() { "" } else { " " };
            line.push_str(space);
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_anything_else() {
        assert_eq!(escape("a<b>&\"c\"\n\u{1b}[2J"), "a&lt;b&gt;&amp;&quot;c&quot; \u{fffd}[2J");
        assert_eq!(escape("ä…\u{fffe}"), "ä…\u{fffd}");
    }

    #[test]
    fn long_text_is_cut_or_wrapped() {
        assert_eq!((cut("abc", 3).as_str(), cut("abcd", 3).as_str()), ("abc", "ab…"));
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("undividable", 3), ["undividable"]);
        assert_eq!(wrap("", 3), [""]);
    }
}
