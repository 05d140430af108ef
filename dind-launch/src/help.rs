//! What the help has beside the options. A test runs every example.

use crate::fault::CODES;
use dind_contract::help::{Example, Help, Statuses};

const fn example(verb: &'static str, what: &'static str, line: &'static str) -> Example {
    Example { verb, what, line }
}

/// Those of `docker run`.
const OF_RUN: Statuses = &[
    (
        "N",
        "the main process has ended with N; 0 where the engine is the service and a signal has stopped the node",
    ),
    ("128+N", "signal N has ended the main process"),
    ("2", "the command line is wrong"),
    ("125", "the launcher or one of its stages failed"),
    ("126", "the command cannot be executed"),
    ("127", "the command was not found"),
];

/// Of a command in a node.
const OF_A_COMMAND: Statuses = &[
    ("N", "the command has ended with N"),
    ("128+N", "signal N has ended the command"),
    ("2", "the command line is wrong"),
    ("125", "the node cannot be entered or claimed"),
    ("126", "the command cannot be executed"),
    ("127", "the command was not found"),
];

/// Exit statuses and examples.
pub const HELP: Help = Help {
    codes: CODES,
    examples: &[
        example(
            "run",
            "a node whose main process is a command",
            "docker run --rm --privileged dind:dev docker info",
        ),
        example(
            "run",
            "a node whose service is the engine",
            "docker run --detach --name node --privileged dind:dev",
        ),
        example("plan", "what a run would do here", "dind-launch plan -- docker info"),
        example("status", "the node in a screenful", "dind-launch status --output table"),
        example("status", "the health check of the image", "dind-launch status --healthy"),
        example(
            "status",
            "figures for the textfile collector of Prometheus' node exporter",
            "dind-launch status --output openmetrics --to /run/node.prom",
        ),
        example("status", "the start as a picture", "dind-launch status --output svg --to /run/start.svg"),
        example("top", "what the inner containers use, once", "dind-launch top --output table"),
        example("doctor", "what is missing, and what fixes it", "dind-launch doctor --output table"),
        example(
            "doctor",
            "the flags for a node, as sets, the safest first",
            "dind-launch doctor --run-flags",
        ),
        example(
            "prepare",
            "cgroups and mounts, for an entrypoint that starts dockerd itself",
            "dind-launch prepare",
        ),
        example("wait", "until the node is ready", "dind-launch wait --timeout 60s"),
        example("drain", "until the last inner container has ended", "dind-launch drain --timeout 60s"),
        example("reload", "take over a changed /etc/docker/daemon.json", "dind-launch reload"),
        example("preload", "load the image archives of a directory", "dind-launch preload /preload"),
        example("enter", "a command in the node's namespaces", "dind-launch enter -- docker ps"),
        example("claim", "bring the main process of a node that waits", "dind-launch claim -- docker info"),
        example("tls plan", "which certificates would be made", "dind-launch tls plan --tls-certdir /certs"),
        example("tls apply", "make them", "dind-launch tls apply --tls-certdir /certs"),
    ],
    statuses: &[("run", OF_RUN), ("enter", OF_A_COMMAND), ("claim", OF_A_COMMAND)],
};
