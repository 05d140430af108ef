//! A registry that images are pushed to: the distribution's own, in a network namespace of the caller's choice.

use super::{Ended, LIMIT, Node, engine_pid, run};
use crate::{eventually, scratch};
use nix::sched::{CloneFlags, setns};
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A registry on the loopback of a network namespace: engines take it without certificates there. It is gone with its handle.
#[derive(Debug)]
pub struct Registry {
    child: Child,
    /// Host and port, as names of images have them.
    pub address: String,
    network: PathBuf,
    _directory: tempfile::TempDir,
}

impl Registry {
    /// Where the outer engine's loopback is.
    ///
    /// # Panics
    /// It does not start, as with [`Registry::in_node`].
    #[must_use]
    pub fn on_host() -> Self {
        Self::start(format!("/proc/{}/ns/net", engine_pid()).into())
    }

    /// Where an inner engine's loopback is.
    #[must_use]
    pub fn in_node(node: &Node) -> Self {
        Self::start(node.process().expect("the node runs").join("ns/net"))
    }

    fn start(network: PathBuf) -> Self {
        let directory = scratch();
        let (config, data) = (directory.path().join("config.yml"), directory.path().join("data"));
        let address = free_address(&network);
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nhttp: {{addr: \"{address}\"}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}}}\n",
            data.display()
        );
        fs::write(&config, text).unwrap();
        let mut command = Command::new("nsenter");
        command.arg(net(&network)).args(["docker-registry", "serve"]).arg(config);
        // It prints a line for each request.
        let child = command.stdout(Stdio::null()).spawn().expect("nsenter is installed");
        let registry = Self { child, address, network, _directory: directory };
        eventually("the registry answers", LIMIT, || (registry.get("").status == 0).then_some(()));
        registry
    }

    /// Gets a document of its API, by the path below `/v2/`.
    #[must_use]
    pub fn get(&self, path: &str) -> Ended {
        let url = format!("http://{}/v2/{path}", self.address);
        run("nsenter", &[&net(&self.network), "busybox", "wget", "-q", "-O", "-", &url])
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn net(network: &Path) -> String {
    format!("--net={}", network.display())
}

/// An address of the namespace's loopback where nobody listens.
fn free_address(network: &Path) -> String {
    let network = File::open(network).unwrap();
    let thread = std::thread::spawn(|| {
        setns(network, CloneFlags::CLONE_NEWNET).unwrap();
        TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap()
    });
    thread.join().unwrap().to_string()
}
