//! Checks who may use the engine: whoever can write to its socket can become root (docs.docker.com/engine/security).

use crate::doctor::report::Checks;
use dind_system::Root;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

/// The engine's socket. Not by way of /var/run: that is an absolute link, which leads out of a captured machine.
const SOCKET: &str = "/run/docker.sock";

/// dockerd makes it for root and the group `docker`, but scripts often open it to all.
const ALL_MAY_WRITE: u32 = 0o002;

/// Before the engine starts there is no socket, and nothing to check.
pub(super) fn evaluate(root: &Root, checks: &mut Checks) {
    let found = root.path(SOCKET).symlink_metadata();
    let Some(socket) = found.ok().filter(|found| found.file_type().is_socket()) else { return };
    match socket.mode() & ALL_MAY_WRITE {
        0 => checks.ok("engine socket", "only its owner and its group may use it"),
        _ => checks.degraded(
            "engine socket",
            format!("`{SOCKET}` is world-writable: any user can become root"),
            &format!("chmod o= {SOCKET}; users who need it go into the group docker"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::report::Verdict;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_world_writable_socket_is_degraded() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        let path = root.path(SOCKET);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let examined = || {
            let mut checks = Checks::default();
            evaluate(&root, &mut checks);
            checks
        };
        assert!(examined().examination().checks.is_empty(), "without a socket");
        symlink("/dev/null", &path).unwrap();
        assert!(examined().examination().checks.is_empty(), "a link instead of a socket");
        fs::remove_file(&path).unwrap();
        let _socket = UnixListener::bind(&path).unwrap();
        for (mode, verdict) in [(0o660, Verdict::Ok), (0o666, Verdict::Degraded)] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(examined().outcome("engine socket").0, verdict, "{mode:o}");
        }
    }
}
