//! docker:dind's layout of the directory: where each file lies, and who may read it.

use dind_contract::Engine;
use std::path::Path;

/// The files, in the order in which docker:dind makes them.
pub(super) const FILES: [&str; 8] =
    [CA_KEY, CA_CERT, SERVER_KEY, SERVER_CERT, SERVER_CA, CLIENT_KEY, CLIENT_CERT, CLIENT_CA];

/// The directories that they lie in.
pub(super) const DIRECTORIES: [&str; 3] = ["ca", "server", "client"];

pub(super) const CA_KEY: &str = "ca/key.pem";
pub(super) const CA_CERT: &str = "ca/cert.pem";
pub(super) const SERVER_KEY: &str = "server/key.pem";
pub(super) const SERVER_CERT: &str = "server/cert.pem";
pub(super) const SERVER_CA: &str = "server/ca.pem";
pub(super) const CLIENT_KEY: &str = "client/key.pem";
pub(super) const CLIENT_CERT: &str = "client/cert.pem";
pub(super) const CLIENT_CA: &str = "client/ca.pem";

/// The keys that nobody but root may read. That of the clients is for whoever they are: jobs run as any user.
pub(super) const SECRET: [&str; 2] = [CA_KEY, SERVER_KEY];

/// The mode of a new file.
pub(super) fn mode(file: &str) -> u32 {
    if SECRET.contains(&file) { 0o600 } else { 0o644 }
}

/// What dockerd is told of the files.
pub(super) fn engine_settings(directory: &Path) -> Engine {
    let mut engine = Engine::default();
    engine.set("tlsverify", true);
    for (key, file) in [("tlscacert", SERVER_CA), ("tlscert", SERVER_CERT), ("tlskey", SERVER_KEY)] {
        engine.set(key, directory.join(file).display().to_string());
    }
    engine
}

/// Where new files are put together before they take their places one by one, in the directory itself.
pub(super) const STAGING: &str = ".dind-tls";
/// A set that is not complete yet: it is removed.
pub(super) const UNFINISHED: &str = ".dind-tls/new";
/// A complete set on the way to its place: it goes on.
pub(super) const COMMITTED: &str = ".dind-tls/commit";
