//! The terminal: spinners and bars at its bottom, all other lines above them. Threads may work at the same time.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::LazyLock;
use std::time::Duration;

/// How often a spinner turns.
const TICK: Duration = Duration::from_millis(100);

static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Whether a person sits there.
pub(super) fn is_there() -> bool {
    std::io::stderr().is_terminal()
}

/// Prints a line that stays.
pub(super) fn print(line: &str) {
    alone(|| eprintln!("{line}"));
}

/// Takes spinners and bars away for as long as the work takes.
pub(super) fn alone<T>(work: impl FnOnce() -> T) -> T {
    if is_there() { BARS.suspend(work) } else { work() }
}

/// Turns while something works; none where there is no terminal.
pub(super) fn spinner(what: &str) -> Option<ProgressBar> {
    bar(ProgressBar::new_spinner(), "{spinner} {msg} ({elapsed})", what)
}

/// Shows how many of some tests have ended; none where there is no terminal.
pub(super) fn counter(what: &str) -> Option<ProgressBar> {
    bar(ProgressBar::new(0), "{spinner} {prefix} [{bar:25}] {pos}/{len} {wide_msg} ({elapsed})", "")
        .inspect(|bar| bar.set_prefix(what.to_owned()))
}

fn bar(bar: ProgressBar, template: &str, what: &str) -> Option<ProgressBar> {
    is_there().then(|| {
        let bar = BARS.add(bar.with_message(what.to_owned()));
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.enable_steady_tick(TICK);
        bar
    })
}
