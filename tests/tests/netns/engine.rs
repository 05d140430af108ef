//! The stand-in for an engine that writes its rules to nf_tables itself, `dind-nft-engine`, and what passes between its containers.

use crate::namespace::Namespace;
use crate::testbed::Testbed;
use serde_json::Value;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

/// The version that decides for nftables.
pub(crate) const NATIVE: (&str, &str) = ("DIND_ENGINE_VERSION", "29.7.0");

/// The stand-in, with the settings of a document of dind-net.
pub(crate) struct Engine<'a> {
    net: &'a Testbed,
    config: PathBuf,
}

impl<'a> Engine<'a> {
    pub(crate) fn new(net: &'a Testbed, document: &Value) -> Self {
        let config = net.state.path().join("daemon.json");
        std::fs::write(&config, document["engine"]["config"].to_string()).unwrap();
        Self { net, config }
    }

    pub(crate) fn start(net: &'a Testbed, document: &Value) -> Self {
        let engine = Self::new(net, document);
        engine.run("start");
        engine
    }

    pub(crate) fn output(&self, words: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dind-nft-engine"));
        self.net.node.output(command.arg(&self.config).args(words.split(' ')))
    }

    pub(crate) fn run(&self, words: &str) {
        let output = self.output(words);
        assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// A user-defined network, and a container in it with its port 80 published on the node.
    pub(crate) fn user_network(&self, bridge: &str, net: &str, host_port: u16) -> Namespace {
        self.run(&format!("network {bridge} {net}.0/24"));
        let number = net.rsplit('.').next().unwrap().parse::<u8>().unwrap();
        let inner = self.container(bridge, &format!("{net}.2/24"), &format!("{net}.1"), number);
        self.run(&format!("publish {bridge} {net}.2 80 {host_port}"));
        inner
    }

    /// A container on one of its bridges.
    pub(crate) fn container(&self, bridge: &str, address: &str, gateway: &str, number: u8) -> Namespace {
        let mac = format!("02:42:00:00:00:{number:02x}");
        let inner = self.net.join(&self.net.node, bridge, address, &mac, 1400);
        inner.ip(&format!("route add default via {gateway}"));
        self.run(&format!("endpoint {bridge} {}", address.split('/').next().unwrap()));
        inner
    }
}

/// Whether a server at `address` of one place answers a client in the other, who asks for it at `target`.
pub(crate) fn serves(server: &Namespace, address: &str, client: &Namespace, target: &str) -> bool {
    let listener = server.inside(|| TcpListener::bind(address)).unwrap();
    let target: SocketAddr = target.parse().unwrap();
    // What is dropped stays without an answer: to wait longer would show nothing more.
    let limit = Duration::from_secs(1);
    let answered = client.inside(|| TcpStream::connect_timeout(&target, limit)).is_ok();
    drop(listener);
    answered
}
