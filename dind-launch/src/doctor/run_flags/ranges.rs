//! Ranges of users that containers may have (subuid(5)).

use crate::doctor::facts::Observed;

/// The user whose range Docker maps users to (dockerd(8), `--userns-remap=default`).
pub(super) const DOCKER_USER: &str = "dockremap";

/// The user whose ranges podman gives out for `--userns=auto` (podman-run(1)).
pub(super) const PODMAN_USER: &str = "containers";

/// Whether a user has a range in both files.
pub(super) fn has_range(observed: &Observed, user: &str) -> bool {
    let has = |text: &str| text.lines().any(|line| line.split(':').next() == Some(user));
    has(&observed.subuid) && has(&observed.subgid)
}
