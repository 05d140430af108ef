//! What the help has beside the options. A test runs every example.

use crate::fault::CODES;
use dind_contract::help::{Example, Help};

const fn example(verb: &'static str, what: &'static str, line: &'static str) -> Example {
    Example { verb, what, line }
}

/// Exit statuses and examples.
pub const HELP: Help = Help {
    codes: CODES,
    examples: &[
        example("plan", "what an apply would do on this machine", "dind-net plan"),
        example(
            "plan",
            "the range of a node on another machine, computed without one",
            "dind-net plan --address 172.17.0.5/16 --gateway 172.17.0.1 --offset 0.0.1.0",
        ),
        example(
            "apply",
            "prepare the network, and print the settings for dockerd as its flags",
            "dind-net apply --pool 10.201.0.0/16 --output flags",
        ),
        example(
            "probe",
            "is the range in use that a bridged node would take?",
            "dind-net probe --offset 0.0.1.0",
        ),
        example("release", "undo what an apply has changed", "dind-net release"),
    ],
    statuses: &[],
};
