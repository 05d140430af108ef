//! What passes while the network changes, and through what was made.

use crate::lab::{Lab, Namespace, OWN, isolated};
use crate::{BRIDGED, UNPROBED};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// So many pings, one every 10 ms.
struct Pings(Child);

impl Pings {
    fn start(from: &Namespace, address: &str, count: usize) -> Self {
        let mut command = Command::new("busybox");
        command.args(["ping", "-q", "-i", "0.01", "-W", "2", "-c", &count.to_string(), address]);
        Self(from.inside(|| command.stdout(Stdio::piped()).spawn()).unwrap())
    }

    fn are_under_way(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    /// How many were answered.
    fn answered(self) -> usize {
        let text = String::from_utf8(self.0.wait_with_output().unwrap().stdout).unwrap();
        let line = text.lines().find(|line| line.contains("transmitted")).unwrap_or_else(|| panic!("{text}"));
        line.split(' ').filter_map(|word| word.parse().ok()).nth(1).unwrap()
    }
}

#[test]
fn no_ping_is_lost_while_the_node_is_bridged_and_containers_come_and_go() {
    isolated(|| {
        let lab = Lab::new();
        // The machine's own setting is inherited, and a strict one is not what containers usually have.
        lab.node.inside(|| std::fs::write("/proc/sys/net/ipv4/conf/all/rp_filter", "0")).unwrap();
        for round in 0..5 {
            let count = if round == 0 { 200 } else { 50 };
            let mut pings = Pings::start(&lab.host, OWN, count);
            assert!(lab.host.reaches(&lab.node, OWN));
            lab.dind_net("apply", if round == 0 { BRIDGED } else { UNPROBED }).ok();
            if round == 0 {
                let inner: Vec<_> = (0..10)
                    .map(|n| {
                        let mac = format!("02:00:00:00:00:{n:02x}");
                        lab.join(&lab.node, "docker0", &format!("10.77.1.{n}/16"), &mac, 1400)
                    })
                    .collect();
                assert!(inner.iter().all(|inner| inner.reaches(&lab.host, "10.77.0.1")));
                inner.iter().for_each(|inner| drop(inner.ip("link delete eth0")));
            }
            assert!(pings.are_under_way(), "it took longer than all pings");
            assert_eq!(pings.answered(), count, "round {round}");
            lab.dind_net("release", &[]).ok();
        }
    });
}

/// Whether 1 MiB comes from `server` to `client`, or nothing comes for a second.
fn transfer(server: &Namespace, address: &str, client: &Namespace) -> bool {
    const LENGTH: usize = 1 << 20;
    let listener = server.inside(|| TcpListener::bind((address, 0))).unwrap();
    let target = listener.local_addr().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut connection = listener.accept().unwrap().0;
            connection.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
            // The other end may have given up.
            let _ = connection.write_all(&vec![7; LENGTH]);
        });
        let mut connection = client.inside(|| TcpStream::connect(target)).unwrap();
        connection.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let mut bytes = Vec::new();
        let end = connection.read_to_end(&mut bytes);
        end.is_ok() && bytes.len() == LENGTH
    })
}

#[test]
fn a_network_that_does_not_know_of_the_smaller_mtu_gets_its_data() {
    isolated(|| {
        let lab = Lab::new();
        for namespace in [&lab.host, &lab.node] {
            namespace.inside(|| std::fs::write("/proc/sys/net/ipv4/ip_forward", "1")).unwrap();
        }
        // A server two hops away, and a router on the way that does not tell why it drops.
        lab.host.ip("link add far type bridge mcast_snooping 0");
        lab.host.ip("addr add 10.88.0.1/24 dev far");
        lab.host.ip("link set far up");
        let server = lab.join(&lab.host, "far", "10.88.0.2/24", "02:00:00:00:88:02", 1500);
        server.ip("route add default via 10.88.0.1");
        lab.host.run("iptables -A OUTPUT -p icmp --icmp-type destination-unreachable -j DROP");
        // An inner network as an engine before 24 makes it.
        lab.node.ip("link add br-inner type bridge mcast_snooping 0");
        lab.node.ip("addr add 10.97.1.1/24 dev br-inner");
        lab.node.ip("link set br-inner up");
        let inner = lab.join(&lab.node, "br-inner", "10.97.1.2/24", "02:00:00:00:97:02", 1500);
        inner.ip("route add default via 10.97.1.1");
        lab.host.ip("route add 10.97.1.0/24 via 10.77.0.3");
        assert!(!transfer(&server, "10.88.0.2", &inner), "without dind-net it hangs");
        lab.dind_net("apply", &[]).ok();
        assert!(transfer(&server, "10.88.0.2", &inner), "default mode");
        lab.dind_net("apply", UNPROBED).ok();
        assert!(transfer(&server, "10.88.0.2", &inner), "bridged mode");
        lab.dind_net("release", &[]).ok();
        assert!(!transfer(&server, "10.88.0.2", &inner), "after release");
    });
}
