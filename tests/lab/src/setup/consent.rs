//! Whether packages may be installed. A person at a terminal is asked once; continuous integration and scripts are not.

use crate::{Result, progress};
use std::io::{BufRead, IsTerminal, Write};
use std::sync::Mutex;

/// What is known of it. Threads ask one after the other.
static GIVEN: Mutex<bool> = Mutex::new(false);

/// `--yes`: nobody is asked.
pub fn give() {
    *GIVEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = true;
}

/// Asks for it where a person sits at a terminal, who has just read what is missing.
///
/// # Errors
/// The person says no.
pub(super) fn ask() -> Result<()> {
    let mut given = GIVEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (input, output) = (std::io::stdin(), std::io::stderr());
    *given = *given || in_ci() || !input.is_terminal() || !output.is_terminal();
    if !*given {
        progress::alone(|| {
            write!(&output, "    install it with apt-get? [Y/n] ")?;
            let mut answer = String::new();
            // The end of the input is no consent.
            *given = input.lock().read_line(&mut answer)? > 0 && is_yes(&answer);
            std::io::Result::Ok(())
        })?;
    }
    if *given {
        return Ok(());
    }
    Err("cannot go on: what is missing was not installed\nhint: install it by hand, or answer y; --yes asks nothing".into())
}

/// What every CI system sets: `CI=true`.
fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !value.is_empty() && value != "false")
}

fn is_yes(answer: &str) -> bool {
    ["", "y", "yes"].contains(&answer.trim().to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::is_yes;

    #[test]
    fn an_empty_line_is_the_capital_letter() {
        assert!(["\n", "y\n", "Yes\n"].into_iter().all(is_yes));
        assert!(!["n\n", "no\n", "what\n"].into_iter().any(is_yes));
    }
}
