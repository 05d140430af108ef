//! Markdown's inline marks as fonts: names in backquotes are bold, links are their text.

use roff::{Inline, bold, roman};

/// A paragraph.
pub(crate) fn inline(text: &str) -> Vec<Inline> {
    let text = without_links(text);
    let pieces = text.split('`').enumerate().filter(|(_, piece)| !piece.is_empty());
    pieces.map(|(index, piece)| if index % 2 == 1 { bold(piece) } else { roman(piece) }).collect()
}

/// `[text](target)` is its text.
fn without_links(text: &str) -> String {
    let (mut shown, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('[') {
        let link = after.split_once("](").and_then(|(name, after)| Some((name, after.split_once(')')?.1)));
        shown.push_str(before);
        match link.filter(|(name, _)| !name.contains(']')) {
            Some((name, after)) => {
                shown.push_str(name);
                rest = after;
            }
            None => {
                shown.push('[');
                rest = after;
            }
        }
    }
    shown + rest
}
