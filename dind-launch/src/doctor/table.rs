//! `doctor` for people: what is missing comes first, each with what fixes it.

use super::report::{Alternative, Check, Examination, Verdict};
use crate::terminal::{Ink, Screen};

/// Of the label's column.
const COLUMN: usize = 8;

/// The lines of an examination.
#[must_use]
pub fn lines(examination: &Examination, screen: &Screen) -> Vec<String> {
    let mut lines = Vec::new();
    let of = |verdict| examination.checks.iter().filter(move |check: &&Check| check.verdict == verdict);
    for check in of(Verdict::Missing).chain(of(Verdict::Degraded)) {
        let (ink, label) = match check.verdict {
            Verdict::Missing => (Ink::Bad, "missing"),
            _ => (Ink::Caution, "degraded"),
        };
        lines.extend(screen.labelled((ink, label, COLUMN), &format!("{}: {}", check.name, check.found)));
        lines.extend(screen.labelled((Ink::Plain, "  fix", COLUMN), &check.hint));
    }
    let ok: Vec<_> = of(Verdict::Ok).map(|check| check.name.as_str()).collect();
    lines.extend(screen.labelled((Ink::Good, "ok", COLUMN), &ok.join(", ")));
    for limitation in &examination.limitations {
        let only = limitation.only.as_ref().map(|only| format!(" with {only}")).unwrap_or_default();
        let text = format!("{} fails{only}: {}", limitation.command, limitation.error);
        lines.extend(screen.labelled((Ink::Plain, "limit", COLUMN), &text));
        lines.extend(screen.labelled((Ink::Plain, "  use", COLUMN), &limitation.instead));
    }
    for alternative in examination.run_flags.iter().flatten() {
        lines.push(String::new());
        lines.extend(set(alternative, screen));
    }
    if examination.run_flags.is_none() {
        let (ink, text) = match examination.is_any_missing() {
            false => (Ink::Good, "a node can run here"),
            true => (Ink::Bad, "a node cannot run here"),
        };
        lines.extend(screen.labelled((ink, "result", COLUMN), text));
    }
    lines
}

/// One way to start a node.
fn set(alternative: &Alternative, screen: &Screen) -> Vec<String> {
    let (ink, works) = match (alternative.works, alternative.possible) {
        (Some(true), _) => (Ink::Good, "works here"),
        (Some(false), Some(true)) => (Ink::Caution, "does not work here yet"),
        (Some(false), _) => (Ink::Bad, "does not work here"),
        (None, _) => (Ink::Caution, "may work"),
    };
    let mut lines = Vec::new();
    let mut row = |ink: Ink, label: &str, text: &str| {
        if !text.is_empty() {
            lines.extend(screen.labelled((ink, label, COLUMN), text));
        }
    };
    let why = if alternative.why.is_empty() { String::new() } else { format!(": {}", alternative.why) };
    row(ink, &alternative.name, &format!("{works}{why}"));
    row(Ink::Plain, "  gives", &alternative.gives);
    alternative.costs.iter().for_each(|cost| row(Ink::Plain, "  costs", cost));
    alternative.needs.iter().for_each(|need| row(Ink::Plain, "  needs", need));
    if let Some(settings) = &alternative.daemon_json {
        row(Ink::Plain, "  needs", &format!("in the machine's daemon.json: {settings}"));
    }
    // Both as they are: they are copied.
    if !alternative.flags.is_empty() {
        lines.push(format!("  flags   {}", shell_words::join(&alternative.flags)));
    }
    lines.extend(alternative.manifest.iter().flat_map(|manifest| manifest.lines().map(str::to_owned)));
    lines
}
