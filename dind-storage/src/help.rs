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
        example("plan", "what an apply would do, and why", "dind-storage plan --data-root /srv/docker"),
        example(
            "apply",
            "a data root of 512 MiB in a loop image, and the settings for dockerd as its flags",
            "dind-storage apply --data-root /srv/docker --image /srv/docker.img --size 512MiB --output flags",
        ),
        example(
            "release",
            "unmount it; the image stays, with all that is in it",
            "dind-storage release --data-root /srv/docker --image /srv/docker.img",
        ),
        example(
            "seal",
            "a seed of all images of an engine that is stopped",
            "dind-storage seal --data-root /var/lib/docker --to /srv/seed",
        ),
    ],
    statuses: &[],
};
