//! What passes while the network changes, and through what was made.

use crate::engine::{Engine, NATIVE};
use crate::namespace::{Namespace, isolated};

use crate::testbed::{OWN, Testbed};
use crate::{BRIDGED, UNPROBED};
use dind_tests::{eventually, stretched};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Pings, one every 10 ms, from start to stop.
struct Pings {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Pings {
    /// Starts them, and returns when the first one has been answered.
    fn start(from: &Namespace, address: &str) -> Self {
        let mut command = Command::new("busybox");
        command.args(["ping", "-i", "0.01", address]).stdout(Stdio::piped());
        let mut child = from.inside(|| command.spawn()).unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        let reader = std::thread::spawn(move || {
            for line in stdout.lines() {
                kept.lock().unwrap().push(line.unwrap());
            }
        });
        let pings = Self { child, lines, reader: Some(reader) };
        pings.until_answered(1);
        pings
    }

    /// The numbers of those that were answered; they begin with 0.
    fn answered(&self) -> Vec<usize> {
        let number = |line: &String| line.split_once(" seq=")?.1.split(' ').next()?.parse().ok();
        self.lines.lock().unwrap().iter().filter_map(number).collect()
    }

    fn until_answered(&self, count: usize) {
        eventually(&format!("{count} pings are answered"), Duration::from_secs(20), || {
            (self.answered().len() >= count).then_some(())
        });
    }

    /// Goes on for twenty more, and until there are so many; then stops them and checks that each was answered. The last
    /// one may still have been on its way.
    fn assert_all_answered(mut self, least: usize, what: &str) {
        self.until_answered(least.max(self.answered().len() + 20));
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGINT).unwrap();
        self.reader.take().unwrap().join().unwrap();
        let mut answered = self.answered();
        // busybox sums up in its signal handler: a line that it is just writing is written once more.
        if let [.., before, last] = answered[..]
            && before == last
        {
            answered.pop();
        }
        assert_eq!(
            answered,
            (0..answered.len()).collect::<Vec<_>>(),
            "{what}: some were lost, or came twice"
        );
        let lines = self.lines.lock().unwrap().clone();
        let summary = lines.iter().find(|line| line.contains("transmitted")).expect("ping sums up");
        let sent: usize = summary.split(' ').next().unwrap().parse().unwrap();
        assert!(sent - answered.len() <= 1, "{what}: {summary}");
    }
}

impl Drop for Pings {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn no_ping_is_lost_while_the_node_is_bridged_and_containers_come_and_go() {
    isolated(|| {
        let net = Testbed::new();
        for round in 0..5 {
            let pings = Pings::start(&net.host, OWN);
            assert!(net.host.reaches(&net.node, OWN));
            net.dind_net("apply", if round == 0 { BRIDGED } else { UNPROBED }).ok();
            if round == 0 {
                let inner: Vec<_> = (0..10)
                    .map(|n| {
                        let mac = format!("02:00:00:00:00:{n:02x}");
                        net.join(&net.node, "docker0", &format!("10.77.1.{n}/16"), &mac, 1400)
                    })
                    .collect();
                assert!(inner.iter().all(|inner| inner.reaches(&net.host, "10.77.0.1")));
                inner.iter().for_each(|inner| drop(inner.ip("link delete eth0")));
            }
            pings.assert_all_answered(if round == 0 { 200 } else { 50 }, &format!("round {round}"));
            net.dind_net("release", &[]).ok();
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
            connection.set_write_timeout(Some(stretched(Duration::from_secs(2)))).unwrap();
            // The other end may have given up.
            let _ = connection.write_all(&vec![7; LENGTH]);
        });
        let mut connection = client.inside(|| TcpStream::connect(target)).unwrap();
        connection.set_read_timeout(Some(stretched(Duration::from_secs(1)))).unwrap();
        let mut bytes = Vec::new();
        let end = connection.read_to_end(&mut bytes);
        end.is_ok() && bytes.len() == LENGTH
    })
}

#[test]
fn inner_networks_with_a_larger_mtu_than_the_uplink_get_their_data() {
    isolated(|| {
        let net = Testbed::new();
        for namespace in [&net.host, &net.node] {
            namespace.set("ipv4/ip_forward", "1");
        }
        // A server two hops away, and a router on the way that drops without saying why.
        net.host.ip("link add far type bridge mcast_snooping 0");
        net.host.ip("addr add 10.88.0.1/24 dev far");
        net.host.ip("link set far up");
        let server = net.join(&net.host, "far", "10.88.0.2/24", "02:00:00:00:88:02", 1500);
        server.ip("route add default via 10.88.0.1");
        net.host.run("iptables -A OUTPUT -p icmp --icmp-type destination-unreachable -j DROP");
        // An inner network as an engine before 24 makes it.
        net.node.ip("link add br-inner type bridge mcast_snooping 0");
        net.node.ip("addr add 10.97.1.1/24 dev br-inner");
        net.node.ip("link set br-inner up");
        let inner = net.join(&net.node, "br-inner", "10.97.1.2/24", "02:00:00:00:97:02", 1500);
        inner.ip("route add default via 10.97.1.1");
        net.host.ip("route add 10.97.1.0/24 via 10.77.0.3");
        assert!(!transfer(&server, "10.88.0.2", &inner), "it passes without dind-net");
        net.dind_net("apply", &[]).ok();
        assert!(transfer(&server, "10.88.0.2", &inner), "it hangs in default mode");
        net.dind_net("apply", UNPROBED).ok();
        assert!(transfer(&server, "10.88.0.2", &inner), "it hangs in bridged mode");
        // The same beside the rules of an engine that writes them to nf_tables itself.
        let native = |variables: &[(&str, &str)]| {
            let done = net.dind_net("apply", variables).ok();
            Engine::start(&net, &done).run("network br-inner 10.97.1.0/24");
            assert!(transfer(&server, "10.88.0.2", &inner), "it hangs with {variables:?}");
        };
        native(&[UNPROBED[0], UNPROBED[1], NATIVE]);
        net.dind_net("release", &[]).ok();
        net.node.run("nft flush ruleset");
        assert!(!transfer(&server, "10.88.0.2", &inner), "it still passes after release");
        native(&[NATIVE]);
    });
}
