//! What a node cannot do, each with its error: inner containers in a user namespace, and the engine with nftables. Tests try each
//! of them.

use super::report::Limitation;
use crate::paths::RUN_DIR;
use dind_system::Root;
use serde_json::Value;
use std::path::Path;

/// The command, a part of its error, what helps, and where it fails if not everywhere.
type Row = (&'static str, &'static str, &'static str, &'static str);

/// Moby, `IsSwarmCompatible`.
const WITH_NFTABLES: &[Row] = &[(
    "docker swarm init",
    "--firewall-backend=nftables is incompatible with swarm mode",
    "start the node with --env DIND_NET_FIREWALL=iptables",
    "",
)];

const IN_A_USER_NAMESPACE: &[Row] = &[
    (
        "docker run --privileged IMAGE",
        "operation not permitted",
        "--cap-add what it needs, of what the node has",
        "",
    ),
    (
        "docker run IMAGE mknod /tmp/null c 1 3",
        "Operation not permitted",
        "--device, for a device that the node has",
        "",
    ),
    (
        "docker run --ulimit nofile=99999999 IMAGE",
        "operation not permitted",
        "docker run --ulimit for the node; an inner container can have as much",
        "",
    ),
    (
        "docker run --oom-score-adj -500 IMAGE",
        "can't get final child's PID from pipe",
        "leave it out; newer versions of runc ignore it",
        "runc 1.1",
    ),
    (
        "docker run --sysctl net.core.somaxconn=1024 IMAGE",
        "no such file or directory",
        "leave it out, or use a newer kernel",
        "Linux 6.1",
    ),
];

/// What this node cannot do.
pub(super) fn list(root: &Root, in_user_namespace: bool) -> Vec<Limitation> {
    let user_namespace = if in_user_namespace { IN_A_USER_NAMESPACE } else { &[] };
    let nftables = if refuses_swarms(root) { WITH_NFTABLES } else { &[] };
    let of = |(command, error, instead, only): &Row| Limitation {
        command: (*command).to_owned(),
        error: (*error).to_owned(),
        instead: (*instead).to_owned(),
        only: (!only.is_empty()).then(|| (*only).to_owned()),
    };
    user_namespace.iter().chain(nftables).map(of).collect()
}

/// Whether the engine has been configured so that it is no node of a swarm (moby, `IsSwarmCompatible`).
fn refuses_swarms(root: &Root) -> bool {
    let text = root.read(Path::new(RUN_DIR).join("daemon.json")).unwrap_or_default();
    let config: Value = serde_json::from_str(&text).unwrap_or_default();
    config["firewall-backend"] == "nftables"
        && config["iptables"] != false
        && config["features"]["swarm-nftables"] != true
}
