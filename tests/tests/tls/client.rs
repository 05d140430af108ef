//! Clients: this machine's docker program, from where the outer engine's bridges are, with files of a node.

use dind_tests::outer::{Ended, Node, address_of, docker, on_host};
use dind_tests::scratch;
use std::fs;
use std::path::{Path, PathBuf};

/// What docker:dind's users set.
pub(crate) const CERTDIR: [&str; 2] = ["--env", "DOCKER_TLS_CERTDIR=/certs"];

/// A directory with `ca.pem`, `cert.pem` and `key.pem`, as `DOCKER_CERT_PATH` has it.
pub(crate) struct Client {
    directory: tempfile::TempDir,
}

impl Client {
    /// With the files that a node has for clients.
    pub(crate) fn of(node: &Node) -> Self {
        let directory = scratch();
        let from = format!("{}:/certs/client/.", node.name);
        docker(&["cp", &from, directory.path().to_str().unwrap()]).ok();
        Self { directory }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// The same, without or with another file.
    pub(crate) fn with(self, name: &str, content: Option<&str>) -> Self {
        match content {
            Some(content) => fs::write(self.file(name), content).unwrap(),
            None => fs::remove_file(self.file(name)).unwrap(),
        }
        self
    }

    /// Runs the docker program against port 2376 of an address.
    pub(crate) fn docker(&self, address: &str, args: &[&str]) -> Ended {
        let host = format!("tcp://{address}:2376");
        let flag = |name: &str, file: &str| format!("--{name}={}", self.file(file).display());
        let mut words = vec!["docker".to_owned(), format!("--host={host}"), "--tlsverify".to_owned()];
        words.push(flag("tlscacert", "ca.pem"));
        if self.file("cert.pem").exists() {
            words.extend([flag("tlscert", "cert.pem"), flag("tlskey", "key.pem")]);
        } else {
            // The program would look for them in its own directory.
            words.extend(["--tlscert=".to_owned(), "--tlskey=".to_owned()]);
        }
        words.extend(args.iter().map(|word| (*word).to_owned()));
        on_host(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The version of the engine that answers.
    pub(crate) fn server_version(&self, address: &str) -> Ended {
        self.docker(address, &["version", "--format", "{{.Server.Version}}"])
    }

    /// Gets an answer from a node, at its address on the default network.
    pub(crate) fn gets_in(&self, node: &Node) {
        let version = self.server_version(&address_of(&node.name)).ok();
        assert_eq!(node.record()["engine_version"], version.as_str());
    }
}
