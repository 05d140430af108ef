//! Network namespaces for one test: made by the test's thread, gone with its file descriptors.

use dind_tests::bin;
use nix::sched::{CloneFlags, setns, unshare};
use serde_json::{Value, json};
use std::fs::File;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;
use tempfile::TempDir;

/// The container's own address and hardware address: a high one, which a bridge would not take by itself.
pub(crate) const OWN: &str = "10.77.0.3";
pub(crate) const OWN_MAC: &str = "fe:42:0a:4d:00:03";

/// Runs a test in a thread that has left the machine's network.
pub(crate) fn isolated(test: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let machine = std::fs::read_link("/proc/self/ns/net").unwrap();
            unshare(CloneFlags::CLONE_NEWNET).expect("the tests run as root");
            assert_ne!(std::fs::read_link("/proc/thread-self/ns/net").unwrap(), machine);
            // A control that only the machine's own network namespace has.
            assert!(!Path::new("/proc/sys/net/core/netdev_budget").exists(), "not isolated");
            test();
        });
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

/// A network namespace.
pub(crate) struct Namespace(File);

impl Namespace {
    fn current() -> Self {
        Self(File::open("/proc/thread-self/ns/net").unwrap())
    }

    /// A new one; the thread stays where it is.
    fn new() -> Self {
        let here = Self::current();
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        let new = Self::current();
        setns(&here.0, CloneFlags::CLONE_NEWNET).unwrap();
        new.ip("link set lo up");
        new
    }

    /// Does something in there: what is spawned or opened stays there.
    pub(crate) fn inside<T>(&self, work: impl FnOnce() -> T) -> T {
        let here = Self::current();
        setns(&self.0, CloneFlags::CLONE_NEWNET).unwrap();
        let answer = work();
        setns(&here.0, CloneFlags::CLONE_NEWNET).unwrap();
        answer
    }

    /// Runs a program, which has to succeed.
    pub(crate) fn run(&self, line: &str) -> String {
        let mut words = line.split(' ');
        let output = self.output(Command::new(words.next().unwrap()).args(words));
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn output(&self, command: &mut Command) -> Output {
        self.inside(|| command.output()).unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    /// Runs `ip`, which has to succeed.
    pub(crate) fn ip(&self, arguments: &str) -> String {
        self.run(&format!("ip {arguments}"))
    }

    pub(crate) fn ip_json(&self, arguments: &str) -> Value {
        let text = self.ip(&format!("-j {arguments}"));
        if text.trim().is_empty() { json!([]) } else { serde_json::from_str(&text).unwrap() }
    }

    /// Whether a TCP connection to `address` in `other` comes about.
    pub(crate) fn reaches(&self, other: &Self, address: &str) -> bool {
        let address: IpAddr = address.parse().unwrap();
        let listener = other.inside(|| TcpListener::bind(SocketAddr::new(address, 0))).unwrap();
        let target = listener.local_addr().unwrap();
        self.inside(|| TcpStream::connect_timeout(&target, Duration::from_secs(5))).is_ok()
    }
}

/// A host with an outer network, and a container on it.
pub(crate) struct Lab {
    pub(crate) host: Namespace,
    pub(crate) node: Namespace,
    pub(crate) state: TempDir,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let host = Namespace::current();
        host.ip("link set lo up");
        host.ip("link add obr type bridge mcast_snooping 0");
        host.ip("link set obr addrgenmode none");
        host.ip("addr add 10.77.0.1/16 dev obr");
        host.ip("link set obr up");
        let state = tempfile::tempdir().unwrap();
        // For the runs of somebody who is not root.
        std::fs::set_permissions(state.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let lab = Self { node: Namespace::new(), host, state };
        lab.connect(&lab.host, "obr", &lab.node, "10.77.0.3/16 brd 10.77.255.255", OWN_MAC, 1400);
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
            lab.node.ip(command);
        }
        lab
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
        let there = format!("/proc/{}/fd/{}", std::process::id(), inner.0.as_raw_fd());
        outer.ip(&format!(
            "link add {port} mtu {mtu} type veth peer name eth0 mtu {mtu} address {mac} netns {there}"
        ));
        outer.ip(&format!("link set {port} master {bridge} addrgenmode none up"));
        inner.ip("link set eth0 addrgenmode none up");
        inner.ip(&format!("addr add {address} dev eth0"));
    }

    /// Links, addresses and routes of the container, as `ip` tells them. The link-local IPv6 address that the bridge
    /// makes for itself is left out: it changes its state in its own time.
    pub(crate) fn snapshot(&self) -> Value {
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
        let copy = self.state.path().join("dind-net");
        std::fs::copy(bin("dind-net"), &copy).unwrap();
        let mut command = Command::new(through[0]);
        command.args(&through[1..]).arg(copy).arg(verb);
        run(&self.node, self.state.path(), command, variables)
    }

    /// Runs the tool with something done to the nth sendto(2) or recvfrom(2), which is what netlink and ARP are.
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

/// Indices of links count up with every bridge that was made.
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
    command.envs(variables.iter().copied());
    let output = place.output(&mut command);
    let stdout = String::from_utf8(output.stdout).unwrap();
    Run {
        status: output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap()),
        document: serde_json::from_str(&stdout).unwrap_or(Value::Null),
        told: format!("{stdout}{}", String::from_utf8_lossy(&output.stderr)),
    }
}

/// What came of a run.
pub(crate) struct Run {
    pub(crate) status: i32,
    document: Value,
    told: String,
}

impl Run {
    pub(crate) fn ok(self) -> Value {
        assert_eq!((self.status, &self.document["ok"]), (0, &json!(true)), "{}", self.told);
        self.document
    }

    pub(crate) fn failed(self, status: i32) -> Value {
        assert_eq!((self.status, &self.document["ok"]), (status, &json!(false)), "{}", self.told);
        self.document
    }
}

/// That two snapshots are the same; says which part is not.
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
