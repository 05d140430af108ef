//! What inner containers cannot have in a node in a user namespace, each with its error. A test in a guest tries each of them.

use super::report::Limitation;

/// The command, a part of its error, what helps, and where it fails if not everywhere.
const IN_A_USER_NAMESPACE: &[(&str, &str, &str, &str)] = &[
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

/// The list for a node in a user namespace.
pub(super) fn in_a_user_namespace() -> Vec<Limitation> {
    let of = |(command, error, instead, only): &(&str, &str, &str, &str)| Limitation {
        command: (*command).to_owned(),
        error: (*error).to_owned(),
        instead: (*instead).to_owned(),
        only: (!only.is_empty()).then(|| (*only).to_owned()),
    };
    IN_A_USER_NAMESPACE.iter().map(of).collect()
}
