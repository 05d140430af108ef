//! `DOCKER_HOST` of a node whose engine is the service. docker:dind listens there if it is a unix socket, for clients that share the
//! directory; so does the node, beside its own socket. Any other address is meant for clients.

use super::readiness::listens;
use super::user_settings::{UserSettings, is_own_socket};
use dind_contract::Warning;
use dind_system::Root;
use std::path::Path;

/// Adds the socket that the variable names to the user's.
pub(crate) fn add(root: &Root, user: &mut UserSettings) {
    let Ok(host) = std::env::var("DOCKER_HOST") else { return };
    add_host(root, host.trim(), user);
}

fn add_host(root: &Root, host: &str, user: &mut UserSettings) {
    let Some(path) = host.strip_prefix("unix://").filter(|path| path.starts_with('/')) else { return };
    if is_own_socket(host) || user.hosts.iter().any(|known| known == host) {
        return;
    }
    // dockerd would remove the socket and put its own there, on the host too where it is mounted.
    if root.is_host() && listens(Path::new(path)) {
        let message = format!("the engine does not listen at DOCKER_HOST {host}: another one answers there");
        let hint = "unset DOCKER_HOST, or do not mount the host's Docker socket into a node";
        user.warnings.push(Warning::new("setting-ignored", message, hint));
        return;
    }
    user.hosts.push(host.to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::args::DaemonArgs;
    use serde_json::Map;
    use std::os::unix::net::UnixListener;

    fn hosts(host: &str) -> (Vec<String>, usize) {
        let mut user = UserSettings::of(Map::new(), &DaemonArgs::default(), &|_| None).unwrap();
        add_host(&Root::default(), host, &mut user);
        (user.hosts, user.warnings.len())
    }

    #[test]
    fn a_unix_socket_is_one_more_unless_another_engine_has_it() {
        let directory = tempfile::tempdir().unwrap();
        let host = format!("unix://{}", directory.path().join("d.sock").display());
        assert_eq!(hosts(&host), (vec![host.clone()], 0));
        for other in
            ["", "tcp://docker:2376", "unix:///var/run/docker.sock", "unix:///run/docker.sock", "unix://x"]
        {
            assert_eq!(hosts(other), (vec![], 0), "{other}");
        }
        let _listener = UnixListener::bind(directory.path().join("d.sock")).unwrap();
        assert_eq!(hosts(&host), (vec![], 1));
    }
}
