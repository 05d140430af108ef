//! What the manual says beside the command line and the help; see [`Manual`].

use dind_contract::help::Manual;

/// The manual.
pub const MANUAL: Manual = Manual {
    description: &[
        "The first process of a container that is a Docker host. `run` prepares cgroups and mounts, has dind-storage(1) and dind-net(1) set \
         up data root and network, starts containerd and dockerd, waits until the engine answers, and starts the main process. It stops \
         all of it in order, within `--stop-budget`.",
        "The other verbs look at a running node, change its settings, or do one part of its work for an entrypoint that is a shell script.",
        "Every verb but `run`, `enter` and `claim` prints one line on stdout, which is one JSON object. `status` and `doctor` print a table \
         on a terminal. Lines for people go to stderr.",
        "Programs that `run` starts read their own variables: see dind-storage(1), dind-net(1) and dind-reaper(1).",
    ],
    verbs: &[
        (
            "run",
            &[
                "Flags alone, `dockerd` and `dockerd-entrypoint.sh` in the place of a command are forms of the engine as the service, as \
                 with docker:dind. A signal stops the node. A second one ends the grace period of the current step; HUP reads daemon.json \
                 anew.",
            ],
        ),
        (
            "status",
            &[
                "The forms: `auto` is a table on a terminal and JSON elsewhere. A value of `DIND_OUTPUT` that only other verbs have counts as \
                 unset.",
                "`openmetrics` is the text format of OpenMetrics 1.0, with gauges and counters alone; `svg` is the start as a picture. Their \
                 errors are on stderr alone.",
                "To anybody but root the record is not readable.",
            ],
        ),
        (
            "top",
            &[
                "On a terminal, tables follow each other until `q`, Ctrl-C or a signal ends it; the terminal is then as it was. The exit \
                 status is 0, and 128+n for a signal but INT. Elsewhere it prints one table.",
                "Processors and memory are those of the container's limits, or of the machine where it has none. The size of a writable layer \
                 is measured by the engine, which goes through all its files; until then it is `-`.",
            ],
        ),
        ("doctor", &["The exit status is 77 where a node cannot run."]),
    ],
    environment: &[
        ("NO_COLOR", "if it is set, the tables of `status` and `doctor` have no colour"),
        ("PATH", "where the sibling tools, dockerd, containerd and the main process are looked for"),
        ("TERM", "with `dumb`, tables have no colour"),
        (
            "MESOS_*",
            "kept, if set; a Mesos agent gets defaults for some that are not: see `--mesos-defaults`",
        ),
    ],
    files: &[
        (
            "/etc/docker/daemon.json",
            "settings of the user, which are merged with those of the tools; never written",
        ),
        ("/run/dind/launch.json", "the record of the running launcher; for root alone"),
        ("/run/dind/containerd.sock", "the socket of containerd"),
        ("/var/run/docker.sock", "the socket of the engine"),
        ("/var/log/docker.log", "the log of the engine with `LOG=file`"),
        ("/usr/share/dind/seccomp.json", "in the image: the seccomp profile that `doctor --run-flags` names"),
    ],
    see_also: &["dockerd(8)", "docker-run(1)"],
};
