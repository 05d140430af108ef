//! A host and a container in namespaces of their own, snapshots of them, and runs of dind-net there.

use crate::namespace::Namespace;
use dind_tests::{bin, copy_of, eventually, scratch};
use serde_json::{Value, json};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// The container's own address and hardware address: a high one, which a bridge would not take by itself.
pub(crate) const OWN: &str = "10.77.0.3";
pub(crate) const OWN_MAC: &str = "fe:42:0a:4d:00:03";

/// A host with an outer network, and a container on it.
pub(crate) struct Testbed {
    pub(crate) host: Namespace,
    pub(crate) node: Namespace,
    pub(crate) state: TempDir,
}

impl Testbed {
    pub(crate) fn new() -> Self {
        let host = Namespace::current();
        host.ip("link add obr type bridge mcast_snooping 0");
        host.ip("link set obr addrgenmode none");
        host.ip("addr add 10.77.0.1/16 dev obr");
        host.ip("link set obr up");
        let state = scratch();
        let net = Self { node: Namespace::new(), host, state };
        net.connect(&net.host, "obr", &net.node, "10.77.0.3/16 brd 10.77.255.255", OWN_MAC, 1400);
        for command in [
            "addr add 10.77.0.4/16 dev eth0 label eth0:1",
            "addr add fd77::3/64 dev eth0 nodad",
            "route add default via 10.77.0.1",
            "route add 10.99.0.0/16 via 10.77.0.1 metric 7 src 10.77.0.3 proto static mtu 1300",
            "route add 10.96.0.0/16 dev eth0 scope link",
            "route add 10.95.0.0/16 via 10.96.0.1 dev eth0",
            "route add 10.94.0.0/16 via 10.77.0.1 table 77",
            "-6 route add default via fd77::1",
            "neigh add 10.77.0.99 lladdr 02:00:00:00:00:99 dev eth0 nud permanent",
            "rule add from 10.98.0.0/16 lookup 77 priority 99",
        ] {
            net.node.ip(command);
        }
        net
    }

    /// A new namespace whose eth0 is a port of `bridge` in `outer`.
    pub(crate) fn join(
        &self,
        outer: &Namespace,
        bridge: &str,
        address: &str,
        mac: &str,
        mtu: u32,
    ) -> Namespace {
        let new = Namespace::new();
        self.connect(outer, bridge, &new, address, mac, mtu);
        new
    }

    fn connect(
        &self,
        outer: &Namespace,
        bridge: &str,
        inner: &Namespace,
        address: &str,
        mac: &str,
        mtu: u32,
    ) {
        let port = format!("p{}", mac.replace(':', ""));
        let there = format!("/proc/{}/fd/{}", std::process::id(), inner.descriptor());
        outer.ip(&format!(
            "link add {port} mtu {mtu} type veth peer name eth0 mtu {mtu} address {mac} netns {there}"
        ));
        outer.ip(&format!("link set {port} master {bridge} addrgenmode none up"));
        inner.ip("link set eth0 addrgenmode none up");
        inner.ip(&format!("addr add {address} dev eth0"));
    }

    /// Links, addresses and routes of the container, as `ip` shows them. The link-local IPv6 address that the bridge
    /// makes for itself is left out: it changes its state in its own time.
    pub(crate) fn snapshot(&self) -> Value {
        eventually("the links' state follows their being up", Duration::from_secs(5), || {
            let links = self.node.ip_json("link");
            let settled = |link: &Value| {
                let is_up = link["flags"].as_array().unwrap().contains(&json!("UP"));
                !is_up || link["operstate"] == "UP" || link["ifname"] == "lo"
            };
            links.as_array().unwrap().iter().all(settled).then_some(())
        });
        let mut addresses = self.node.ip_json("addr");
        for link in addresses.as_array_mut().unwrap() {
            let infos = link["addr_info"].as_array_mut().unwrap();
            infos.retain(|info| info["family"] == "inet" || info["scope"] != "link");
        }
        let mut routes6 = self.node.ip_json("-6 route");
        routes6.as_array_mut().unwrap().retain(|route| route["dst"] != "fe80::/64");
        json!({
            "links": self.node.ip_json("link"),
            "addresses": addresses,
            "neighbours": self.node.ip_json("neigh show nud permanent"),
            "rules": self.node.ip_json("rule"),
            "routes": [self.node.ip_json("route"), self.node.ip_json("route show table 77"), routes6],
        })
    }

    /// The addresses of a link that are not link-local.
    pub(crate) fn addresses(&self, link: &str) -> Vec<String> {
        let shown = self.node.ip_json(&format!("addr show {link}"));
        let infos = shown[0]["addr_info"].as_array().unwrap();
        let global = infos.iter().filter(|info| info["scope"] == "global");
        global.map(|info| format!("{}/{}", info["local"].as_str().unwrap(), info["prefixlen"])).collect()
    }

    pub(crate) fn dind_net(&self, verb: &str, variables: &[(&str, &str)]) -> Run {
        dind_net(&self.node, self.state.path(), verb, variables)
    }

    /// Runs a copy that anybody may run, through another program.
    pub(crate) fn dind_net_as(&self, through: &[&str], verb: &str, variables: &[(&str, &str)]) -> Run {
        let mut command = Command::new(through[0]);
        command.args(&through[1..]).arg(copy_of("dind-net", self.state.path())).arg(verb);
        run(&self.node, self.state.path(), command, variables)
    }

    /// The same of a verb with flags.
    pub(crate) fn dind_net_with(&self, words: &[&str], variables: &[(&str, &str)]) -> Run {
        let mut command = Command::new(bin("dind-net"));
        command.args(words);
        run(&self.node, self.state.path(), command, variables)
    }

    /// Runs the tool with a fault in the nth sendto(2) or recvfrom(2): netlink and ARP use nothing else.
    pub(crate) fn inject(&self, call: &str, verb: &str, variables: &[(&str, &str)], what: &str) -> Run {
        self.strace(&format!("inject={call}:{what}"), verb, variables)
    }

    pub(crate) fn count(&self, call: &str, verb: &str, variables: &[(&str, &str)]) -> usize {
        self.strace(&format!("trace={call}"), verb, variables).ok();
        let log = std::fs::read_to_string(self.state.path().join("strace")).unwrap();
        log.lines().filter(|line| line.contains(&format!("{call}("))).count()
    }

    fn strace(&self, expression: &str, verb: &str, variables: &[(&str, &str)]) -> Run {
        let mut command = Command::new("strace");
        command
            .args(["-f", "-qq", "-e", "trace=sendto,recvfrom", "-e", expression, "-o"])
            .arg(self.state.path().join("strace"));
        command.arg(bin("dind-net")).arg(verb);
        run(&self.node, self.state.path(), command, variables)
    }
}

/// A snapshot without the indices of links, which count up with every bridge that is made.
pub(crate) fn without_indices(mut snapshot: Value) -> Value {
    for list in ["links", "addresses"] {
        for link in snapshot[list].as_array_mut().unwrap() {
            link.as_object_mut().unwrap().remove("ifindex");
        }
    }
    snapshot
}

pub(crate) fn dind_net(place: &Namespace, state: &Path, verb: &str, variables: &[(&str, &str)]) -> Run {
    let mut command = Command::new(bin("dind-net"));
    command.arg(verb);
    run(place, state, command, variables)
}

fn run(place: &Namespace, state: &Path, mut command: Command, variables: &[(&str, &str)]) -> Run {
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("DIND_NET_STATE", state);
    // That of the machine is not ours to read.
    command.env("DIND_DATA_ROOT", state);
    command.envs(variables.iter().copied());
    let output = place.output(&mut command);
    let stdout = String::from_utf8(output.stdout).unwrap();
    Run {
        status: output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap()),
        document: serde_json::from_str(&stdout).unwrap_or(Value::Null),
        output: format!("{stdout}{}", String::from_utf8_lossy(&output.stderr)),
    }
}

/// The outcome of a run.
pub(crate) struct Run {
    pub(crate) status: i32,
    document: Value,
    output: String,
}

impl Run {
    pub(crate) fn ok(self) -> Value {
        assert_eq!((self.status, &self.document["ok"]), (0, &json!(true)), "{}", self.output);
        self.document
    }

    pub(crate) fn failed(self, status: i32) -> Value {
        assert_eq!((self.status, &self.document["ok"]), (status, &json!(false)), "{}", self.output);
        self.document
    }
}

/// Checks that two snapshots are the same; the message names the part that is not.
pub(crate) fn assert_same(found: &Value, expected: &Value, what: impl std::fmt::Display) {
    for (part, expected) in expected.as_object().unwrap() {
        assert_eq!(&found[part], expected, "{part}, {what}");
    }
}

pub(crate) fn assert_code(document: &Value, code: &str) {
    let error = &document["error"];
    assert_eq!(error["code"], code, "{error}");
    assert_ne!(error["hint"], "", "{error}");
}
