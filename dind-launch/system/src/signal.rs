//! Signals by name, as Docker and kill(1) write them.

use nix::libc;
use nix::sys::signal::Signal;
use std::str::FromStr;

/// The number of `TERM`, `SIGTERM`, `15`, `RTMIN+3`, `SIGRTMAX-1`; nothing where there is no such signal.
#[must_use]
pub fn number(text: &str) -> Option<i32> {
    let upper = text.trim().to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let (first, last) = (libc::SIGRTMIN(), libc::SIGRTMAX());
    let distance = |rest: &str, sign| match rest.strip_prefix(sign) {
        Some(digits) => digits.parse().ok(),
        None => rest.is_empty().then_some(0),
    };
    let number = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(rest), _) => first.checked_add(distance(rest, '+')?)?,
        (_, Some(rest)) => last.checked_sub(distance(rest, '-')?)?,
        _ => match name.parse() {
            Ok(number) => number,
            Err(_) => return Signal::from_str(&format!("SIG{name}")).ok().map(|signal| signal as i32),
        },
    };
    (1..=last).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_numbers_and_distances() {
        for (text, expected) in [
            ("TERM", 15),
            ("sigterm", 15),
            ("15", 15),
            (" QUIT ", 3),
            ("RTMIN", 34),
            ("SIGRTMIN+3", 37),
            ("RTMAX-1", 63),
            ("64", 64),
        ] {
            assert_eq!(number(text), Some(expected), "{text}");
        }
        for text in
            ["", "0", "65", "-1", "TERMINATE", "RTMIN-1", "RTMIN+31", "RTMAX+1", "RTMIN+x", "SIGSIGTERM"]
        {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
