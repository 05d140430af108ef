//! What the manual says beside the command line and the help; see [`Manual`].

use dind_contract::help::Manual;

/// The manual.
pub const MANUAL: Manual = Manual {
    description: &[
        "Stops the containers of a Docker Engine that runs in a container: all of them in parallel, within a budget, and on request the \
         engine with them. It is also a small init, for entrypoints that need one.",
        "Docker waits ten seconds for a container, and then kills it. The engine inside gives each of its own containers ten seconds, too, \
         and never comes to the end. This tool stops the inner containers first, within `--budget`, and reports how each one ended.",
        "Every verb but `exec` prints one line on stdout, which is one JSON object. Lines for people go to stderr.",
    ],
    verbs: &[
        (
            "stop",
            &[
                "With `--as for-good` the containers are stopped as by a user, and the engine goes on. With `--as shutdown` the engine ends, \
                 too, as at a reboot of its host.",
            ],
        ),
        (
            "exec",
            &[
                "Reaps orphans, forwards signals, hands over the terminal, and ends with the command's own status. The containers are \
                 stopped when the command has ended. stdout belongs to the command, so there is no document.",
            ],
        ),
    ],
    environment: &[],
    files: &[
        ("/var/run/docker.sock", "the engine's socket"),
        ("/var/lib/docker", "the data root, where the engine writes down its containers"),
        ("/run/dind/launch.json", "the record of dind-launch, of which `evidence` keeps a copy"),
    ],
    see_also: &["docker-stop(1)", "dockerd(8)"],
};
