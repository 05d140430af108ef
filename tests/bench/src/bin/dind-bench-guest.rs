//! The benchmarks of the guest whose engine maps users: `cargo xtask bench userns` runs it there, with the number of rounds.
#![allow(clippy::print_stderr)]

use std::process::ExitCode;

fn main() -> ExitCode {
    let rounds = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let done = rounds.ok_or_else(|| "expected the number of rounds".into()).and_then(dind_bench::in_guest);
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
