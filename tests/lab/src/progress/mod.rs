//! Shows what is being done: a spinner or a bar on a terminal, plain lines elsewhere; what commands print goes to a log.
//!
//! * `terminal`: the lines at the bottom of a terminal that change, and those above them that stay
//! * `command`: commands with a log; `tests`: programs of tests, one by one

mod command;
mod terminal;
mod tests;

use crate::Result;
pub use command::{logged, tail};
use std::cell::Cell;
use std::time::{Duration, Instant};
pub use tests::{Tested, tested};

/// The duration of shorter steps is not shown.
const WORTH_SHOWING: Duration = Duration::from_secs(1);

thread_local! {
    /// Whether this thread works beside the one that the user watches.
    static ASIDE: Cell<bool> = const { Cell::new(false) };
}

/// From now on, each line of this thread makes sense by itself, between the lines of another thread.
pub fn step_aside() {
    ASIDE.set(true);
}

/// Does one piece of work under a heading.
pub fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    let aside = ASIDE.get();
    let shown = if aside { format!("meanwhile: {what}") } else { what.to_owned() };
    // Cargo may be drawing on the terminal.
    let spinner = if aside { None } else { terminal::spinner(&shown) };
    if spinner.is_none() {
        heading(&shown);
    }
    let done = work();
    let time = start.elapsed();
    match spinner {
        Some(bar) => {
            bar.finish_and_clear();
            heading(&format!("{shown} ({:.1} s)", time.as_secs_f32()));
        }
        None if aside => note(&format!("{:.1} s: {what}", time.as_secs_f32())),
        None if time >= WORTH_SHOWING => note(&format!("{:.1} s", time.as_secs_f32())),
        None => {}
    }
    done
}

/// Announces work whose own output is the progress.
pub fn heading(what: &str) {
    terminal::print(&format!("==> {what}"));
}

/// One line for people.
pub fn note(text: &str) {
    terminal::print(&format!("    {text}"));
}

/// Lets nothing else be drawn on the terminal meanwhile, such as while a question is answered.
pub fn alone<T>(work: impl FnOnce() -> T) -> T {
    terminal::alone(work)
}

/// How long a command has taken, for people: `4.2 s`, `3 min 7 s`.
#[must_use]
pub fn time(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 60.. => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{:.1} s", time.as_secs_f32()),
    }
}

#[cfg(test)]
mod units {
    use super::time;
    use std::time::Duration;

    #[test]
    fn times_are_short() {
        let shown = [400, 59_940, 60_000, 187_900].map(|millis| time(Duration::from_millis(millis)));
        assert_eq!(shown, ["0.4 s", "59.9 s", "1 min 0 s", "3 min 7 s"]);
    }
}
