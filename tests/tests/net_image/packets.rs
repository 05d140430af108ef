//! Pings from the outer host while inner containers come and go.

use dind_tests::outer::{Network, Node, SLEEP, address_of, docker, engine_pid, host, image, setting};
use dind_tests::unique;
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

/// Pings from the outer host, every 10 ms, until the handle is asked how it went.
struct Pings(Child);

impl Pings {
    fn start(address: &str) -> Self {
        let pid = engine_pid();
        let ping = ["busybox", "ping", "-q", "-i", "0.01", "-W", "1", address];
        let mut command = Command::new("nsenter");
        command.args(["--target", &pid, "--net"]).args(ping);
        Self(command.stdout(Stdio::piped()).spawn().unwrap())
    }

    /// How many were sent, and how many of them were answered.
    fn stop(self) -> (usize, usize) {
        // ping prints its counts when it is interrupted.
        let pid = nix::unistd::Pid::from_raw(self.0.id() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
        let output = self.0.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let line = text.lines().find(|line| line.contains("transmitted")).unwrap_or_else(|| panic!("{text}"));
        let numbers: Vec<usize> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
        (numbers[0], numbers[1])
    }
}

/// Newer clients do not pass a hardware address to older engines, so this one gets it over its socket.
fn node_with_mac(network: &Network, mac: &str) -> Node {
    let node = Node::named(unique("node"));
    let body = json!({
        "Image": image(), "Cmd": SLEEP, "MacAddress": mac,
        "Env": ["DOCKER_NETWORK_OFFSET=0.0.1.0", "DIND_PRELOAD=/preload"],
        "HostConfig": {
            "Privileged": true, "NetworkMode": network.name,
            "Binds": [format!("{}:/preload:ro", setting("DIND_TEST_PRELOAD"))],
        },
    })
    .to_string();
    let mut socket = UnixStream::connect(host().strip_prefix("unix://").unwrap()).unwrap();
    let (name, length) = (&node.name, body.len());
    write!(
        socket,
        "POST /v1.41/containers/create?name={name} HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    docker(&["start", &node.name]).ok();
    let shown =
        docker(&["inspect", "--format", "{{range .NetworkSettings.Networks}}{{.MacAddress}}{{end}}", name]);
    assert_eq!(shown.ok(), mac);
    node
}

#[test]
fn inner_containers_that_join_and_leave_cost_no_packet() {
    let network = Network::new("10.225.0.0/16", "10.225.0.0/24", &[]);
    // A bridge takes the lowest address of its ports, and Docker's begin with 02.
    let node = node_with_mac(&network, "fe:42:0a:e1:00:09");
    let pings = Pings::start(&address_of(&node.name));
    node.until_running();
    let ids: Vec<_> = (0..10).map(|_| node.inner_run(&[], "exec sleep 1000")).collect();
    let remove: Vec<_> = ["rm", "--force"].into_iter().chain(ids.iter().map(String::as_str)).collect();
    node.inner(&remove);
    let (sent, answered) = pings.stop();
    assert!(sent > 200, "{sent}");
    // The last one may still be on its way.
    assert!(sent - answered <= 1, "{} of {sent} lost", sent - answered);
}
