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
        example("plan", "which containers a stop would stop, and how", "dind-reaper plan"),
        example("stop", "stop all containers within four seconds", "dind-reaper stop --budget 4s"),
        example(
            "stop",
            "as at a reboot: the next start of the engine brings back what has a restart policy",
            "dind-reaper stop --as shutdown",
        ),
        example("watch", "stop all containers once a signal comes", "dind-reaper watch --budget 8s"),
        example("drain", "wait until the last container has ended", "dind-reaper drain --timeout 60s"),
        example(
            "evidence",
            "write down what happens in the containers",
            "dind-reaper evidence --dir /srv/evidence",
        ),
        example(
            "reclaim",
            "remove unused images while the disk is too full",
            "dind-reaper reclaim --above 85%",
        ),
        example(
            "exec",
            "a command as under an init, then the stop",
            "dind-reaper exec -- sh -c 'docker ps; exit 0'",
        ),
    ],
    statuses: &[(
        "exec",
        &[
            ("N", "the command has ended with N"),
            ("128+N", "signal N has ended the command"),
            ("126", "the command cannot be executed"),
            ("127", "the command was not found"),
            ("2", "the command line is wrong"),
            ("69", "the engine of --engine has ended"),
            ("74", "a call of the kernel failed before the command was started"),
            ("78", "a flag or a variable is wrong"),
        ],
    )],
};
