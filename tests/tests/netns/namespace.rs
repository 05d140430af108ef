//! Network namespaces for one test: made by the test's thread, gone with its file descriptors.

use dind_tests::stretched;
use nix::sched::{CloneFlags, setns, unshare};
use serde_json::{Value, json};
use std::fs::File;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

/// What a new network namespace takes over from the machine's own, where people set it as they need: Docker and podman
/// switch forwarding on, a strict `rp_filter` drops what comes in by two ways, load balancers change what answers ARP.
const SETTINGS: [(&str, &str); 12] = [
    ("ipv4/ip_forward", "0"),
    ("ipv4/conf/all/rp_filter", "0"),
    ("ipv4/conf/default/rp_filter", "0"),
    ("ipv4/conf/all/arp_ignore", "0"),
    ("ipv4/conf/default/arp_ignore", "0"),
    ("ipv4/conf/all/arp_announce", "0"),
    ("ipv4/conf/default/arp_announce", "0"),
    ("ipv6/conf/all/disable_ipv6", "0"),
    ("ipv6/conf/default/disable_ipv6", "0"),
    ("ipv6/conf/all/forwarding", "0"),
    ("ipv6/conf/default/forwarding", "0"),
    ("ipv6/conf/default/accept_ra", "0"),
];

/// Runs a test in a thread that has left the machine's network.
pub(crate) fn isolated(test: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let machine = std::fs::read_link("/proc/self/ns/net").unwrap();
            unshare(CloneFlags::CLONE_NEWNET).expect("the tests run as root");
            assert_ne!(std::fs::read_link("/proc/thread-self/ns/net").unwrap(), machine);
            // A control that only the machine's own network namespace has.
            assert!(!Path::new("/proc/sys/net/core/netdev_budget").exists(), "not isolated");
            Namespace::current().set_up();
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
    pub(crate) fn current() -> Self {
        Self(File::open("/proc/thread-self/ns/net").unwrap())
    }

    /// A new one; the thread stays where it is.
    pub(crate) fn new() -> Self {
        let here = Self::current();
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        let new = Self::current();
        setns(&here.0, CloneFlags::CLONE_NEWNET).unwrap();
        new.set_up();
        new
    }

    /// Its descriptor's number, by which others find it in /proc.
    pub(crate) fn descriptor(&self) -> i32 {
        self.0.as_raw_fd()
    }

    fn set_up(&self) {
        for (setting, value) in SETTINGS {
            self.set(setting, value);
        }
        self.ip("link set lo up");
    }

    /// Sets a control below `/proc/sys/net`.
    pub(crate) fn set(&self, setting: &str, value: &str) {
        let file = Path::new("/proc/sys/net").join(setting);
        self.inside(|| std::fs::write(file, value)).unwrap_or_else(|error| panic!("{setting}: {error}"));
    }

    /// Whether packets are forwarded.
    pub(crate) fn forwards(&self) -> bool {
        let text = self.inside(|| std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward"));
        text.unwrap().trim() == "1"
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

    pub(crate) fn output(&self, command: &mut Command) -> Output {
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

    /// Whether a TCP connection to `address` in `other` can be made.
    pub(crate) fn reaches(&self, other: &Self, address: &str) -> bool {
        let address: IpAddr = address.parse().unwrap();
        let listener = other.inside(|| TcpListener::bind(SocketAddr::new(address, 0))).unwrap();
        let target = listener.local_addr().unwrap();
        self.inside(|| TcpStream::connect_timeout(&target, stretched(Duration::from_secs(5)))).is_ok()
    }
}
