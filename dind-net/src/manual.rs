//! What the manual says beside the command line and the help; see [`Manual`].

use dind_contract::help::Manual;

/// The manual.
pub const MANUAL: Manual = Manual {
    description: &[
        "Decides and makes the network of a Docker Engine that runs in a container. In default mode the inner containers get subnets that \
         overlap nothing the container can reach, and nothing that its outer engine gives away next. In bridged mode, which \
         `--offset` chooses, they get addresses of the outer network, and are reachable there like any other container.",
        "It finds the MTU, name servers that inner containers can use, and what the engine can write its firewall rules with. The settings \
         for the engine are printed: as a fragment of `daemon.json` in `engine.config`, or as flags of `dockerd` with `--output flags`.",
        "Every verb prints one line on stdout, which is one JSON object. Lines for people go to stderr.",
    ],
    verbs: &[
        (
            "plan",
            &[
                "Needs no privilege. With `--address` it computes the range alone, and reads nothing of the machine.",
            ],
        ),
        (
            "apply",
            &[
                "A second run changes nothing. Where a step fails, the ones before it are undone, and the error says which step it was.",
            ],
        ),
        (
            "release",
            &[
                "Succeeds where nothing is left to undo. It needs no options but the directory of the journal.",
            ],
        ),
    ],
    environment: &[("PATH", "where `iptables`, `nft` and `dockerd` are looked for")],
    files: &[
        ("/run/dind/net.json", "the journal of bridged mode: the uplink's original configuration"),
        ("/run/dind/net6.json", "the same for IPv6 in default mode"),
        ("/run/dind/net-rules.json", "which rules of iptables or nftables are ours"),
        (
            "/run/dind/iptables-legacy, /run/dind/iptables-nft",
            "links to the iptables that the engine is to call",
        ),
        (
            "/etc/resolv.conf, /run/systemd/resolve/resolv.conf",
            "the name servers of the container; read only",
        ),
    ],
    see_also: &["dockerd(8)", "iptables(8)", "nft(8)", "ip(8)"],
};
