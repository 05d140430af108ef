//! A node in a node in a node: networks, limits, the ordered stop, and what comes back.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod nest;

use dind_system::proc::parse_cgroups;
use dind_tests::outer::{LIMIT, Network, docker, engine_version, inner_image};
use dind_tests::{eventually, promise, unique};
use ipnet::Ipv4Net;
use nest::{DEPTH, Nest};
use std::fs;
use std::time::Duration;

/// The MTU of the outermost network: not the usual one, so that a value from elsewhere shows.
const MTU: &str = "1380";

/// The first engine whose user networks take the MTU from daemon.json (`default-network-opts`).
const MTU_FOR_ALL_NETWORKS: u64 = 24;

/// Less for each node further in: it has to have ended when the one outside kills it.
const BUDGETS: [&[&str]; DEPTH] =
    [&["--env", "DIND_STOP_BUDGET=9s"], &["--env", "DIND_STOP_BUDGET=6s"], &["--env", "DIND_STOP_BUDGET=4s"]];

fn network(prefix: &str) -> Network {
    let mtu = format!("com.docker.network.driver.mtu={MTU}");
    Network::new(&format!("{prefix}.0.0/16"), &format!("{prefix}.0.0/24"), &["--opt", &mtu])
}

fn subnets(nest: &Nest, depth: usize) -> Vec<Ipv4Net> {
    let config = nest.record(depth)["daemon_json"].take();
    let pools =
        config["default-address-pools"].as_array().unwrap().iter().map(|pool| pool["base"].as_str().unwrap());
    let all = [config["bip"].as_str().unwrap()].into_iter().chain(pools);
    all.map(|text| text.parse::<Ipv4Net>().unwrap().trunc()).collect()
}

#[test]
fn names_and_packets_of_every_layer_arrive_in_the_innermost_and_no_subnet_is_used_twice() {
    let network = network("10.240");
    let outside = unique("outside");
    let image = inner_image();
    let mtu = format!("com.docker.network.driver.mtu={MTU}");
    let of_networks = ["--opt", &mtu];
    let of_networks = if engine_version().0 < MTU_FOR_ALL_NETWORKS { &of_networks[..] } else { &[] };
    let nest = Nest::start([&["--network", &network.name], &[], &[]], of_networks);

    // One container in the network of each node, and one that receives beside the outermost.
    let receive =
        "nc -l -p 5000 -e sh -c 'wc -c >/share/count; mv /share/count /share/received'; sleep infinity";
    let share = nest.share.volume();
    let beside = ["run", "--detach", "--name", &outside, "--network", &network.name, "--volume", &share];
    let node = dind_tests::outer::Node::named(outside.clone());
    docker(&[&beside[..], &[&image, "sh", "-c", receive]].concat()).ok();
    for (depth, name) in (1..).zip(["first", "in-second", "in-third"]) {
        nest.run(depth, &["--name", name, "--network", "own"], "sleep infinity");
    }
    for own in ["bridge", "own"] {
        for name in [&outside, "first", "in-second"] {
            let ping =
                ["run", "--rm", "--network", own, &image, "ping", "-c", "1", "-W", "10", "-s", "1352", name];
            let ping = nest.docker(DEPTH, &ping);
            assert_eq!(ping.status, 0, "{name} from {own}: {ping:?}");
        }
        let look = ["run", "--rm", "--network", own, &image, "cat", "/sys/class/net/eth0/mtu"];
        assert_eq!(nest.docker(DEPTH, &look).ok(), MTU, "{own}");
    }
    // The innermost network's names, and none of it outside.
    let ping = ["run", "--rm", "--network", "own", &image, "ping", "-c", "1", "in-third"];
    nest.docker(DEPTH, &ping).ok();
    assert_ne!(nest.docker(2, &ping).status, 0);

    // A stream in full packets: nothing is cut to pieces, or too large, anywhere on the way.
    let send = format!("dd if=/dev/zero bs=64k count=320 | nc {outside} 5000");
    nest.docker(DEPTH, &["run", "--rm", &image, "sh", "-c", &send]).ok();
    assert_eq!(nest.share.words("received"), ["20971520"]);
    for depth in 1..=DEPTH {
        let counters = "awk '/^Ip: [0-9]/ { print $18, $19, $20 }' /proc/net/snmp";
        assert_eq!(nest.exec(depth, &["sh", "-c", counters]).ok(), "0 0 0", "{depth}");
        let mtu = nest.exec(depth, &["cat", "/sys/class/net/eth0/mtu"]).ok();
        assert_eq!(mtu, MTU, "{depth}");
    }

    let mut all = vec!["10.240.0.0/16".parse::<Ipv4Net>().unwrap()];
    (1..=DEPTH).for_each(|depth| all.extend(subnets(&nest, depth)));
    for (index, one) in all.iter().enumerate() {
        for other in &all[index + 1..] {
            assert!(!one.contains(other) && !other.contains(one), "{one} and {other} of {all:?}");
        }
    }
    drop(node);
}

#[test]
fn the_limits_of_every_layer_hold_and_their_groups_are_one_in_the_other() {
    let nest = Nest::start(
        [
            &["--memory", "1g", "--memory-swap", "1g"],
            &["--memory", "700m", "--memory-swap", "700m"],
            &["--memory", "400m", "--memory-swap", "400m", "--pids-limit", "300"],
        ],
        &[],
    );
    let asks = |depth: usize, options: &[&str], mib: u32| {
        let script = format!("dd if=/dev/zero of=/dev/null bs={mib}M count=1");
        let image = inner_image();
        nest.docker(depth, &[&["run", "--rm"], options, &[&image, "sh", "-c", &script]].concat()).status
    };
    // Of the container, of the node that is third, and of the second; what each refuses, the one outside would give.
    assert_eq!(asks(3, &["--memory", "100m", "--memory-swap", "100m"], 150), 137);
    assert_eq!(asks(3, &[], 150), 0);
    assert_eq!(asks(3, &[], 420), 137);
    assert_eq!(asks(2, &[], 420), 0);
    assert_eq!(asks(2, &[], 750), 137);
    // No engine was what the kernel took.
    for depth in 1..=DEPTH {
        let record = nest.record(depth);
        assert_eq!(record["state"], "running", "{record}");
        let restarts = record["timeline"].as_array().into_iter().flatten();
        assert!(
            !restarts
                .clone()
                .any(|stage| stage["name"].as_str().is_some_and(|name| name.starts_with("restart-")))
        );
    }

    let inner = nest.run(DEPTH, &[], "sleep infinity");
    let id = |depth: usize, name: &str| nest.docker(depth, &["inspect", "--format", "{{.Id}}", name]).ok();
    let outer = docker(&["inspect", "--format", "{{.Id}}", &nest.outer.name]).ok();
    let ids = [outer, id(1, "second"), id(2, "third"), inner];
    let group = eventually("the machine sees the innermost process", LIMIT, || {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let groups = processes.filter_map(|entry| fs::read_to_string(entry.path().join("cgroup")).ok());
        let mut groups = groups.flat_map(|text| parse_cgroups(&text));
        groups.find(|group| {
            (group.controllers == "memory" || group.controllers.is_empty()) && group.path.contains(&ids[3])
        })
    });
    let places: Vec<_> = ids.iter().map(|id| group.path.find(id.as_str())).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{} {ids:?}", group.path);
}

#[test]
fn the_stop_of_the_outermost_reaches_the_innermost_container_and_leaves_nothing() {
    let nest = Nest::start(BUDGETS, &[]);
    let obeys = "trap 'date >/share/stopped; exit 0' TERM; echo >/share/trapped; sleep infinity & wait";
    let polite = nest.run(DEPTH, &["--volume", "/share:/share"], obeys);
    let deaf =
        nest.run(DEPTH, &["--volume", "/share:/share"], "trap '' TERM; echo >/share/deaf; sleep infinity");
    nest.share.until("trapped");
    nest.share.until("deaf");
    let (status, took) = nest.outer.stop();
    assert_eq!(status, 143, "{}", nest.outer.log());
    promise("the stop of three nodes", took, Duration::from_secs(10));
    assert!(nest.share.path("stopped").exists(), "{}", nest.outer.log());
    let left = fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let groups = fs::read_to_string(entry.path().join("cgroup")).unwrap_or_default();
        groups.contains(&polite) || groups.contains(&deaf)
    });
    assert!(!left, "processes of the innermost containers are left");

    // What the innermost engine wrote down: one of them went by itself.
    nest.outer.start_again();
    (2..=DEPTH).for_each(|depth| nest.until_ready(depth));
    let status = |id: &str| nest.docker(DEPTH, &["inspect", "--format", "{{.State.ExitCode}}", id]).ok();
    let log = nest.docker(2, &["logs", "third"]);
    assert_eq!(
        (status(&polite).as_str(), status(&deaf).as_str()),
        ("0", "137"),
        "{}\n{}",
        log.stdout,
        log.stderr
    );
}

#[test]
fn a_restart_and_a_kill_of_the_outermost_bring_back_all_layers() {
    let network = network("10.241");
    let nest = Nest::start([&["--network", &network.name], &[], &[]], &[]);
    let options = ["--name", "innermost", "--restart", "always", "--network", "own"];
    let inner = nest.run(DEPTH, &options, "echo kept >/kept; sleep infinity");
    nest.outer.comes_back_after_a_restart_and_a_kill("second", || {
        (2..=DEPTH).for_each(|depth| nest.until_ready(depth));
        eventually("the innermost container runs again", LIMIT, || {
            (nest.docker(DEPTH, &["exec", &inner, "cat", "/kept"]).stdout == "kept").then_some(())
        });
        let image = inner_image();
        let ping = ["run", "--rm", "--network", "own", &image, "ping", "-c", "1", "-W", "10", "innermost"];
        assert_eq!(nest.docker(DEPTH, &ping).status, 0);
    });

    // An image that no seed has gets in through a pipe.
    let (image, name) = (inner_image(), "piped:1");
    nest.docker(1, &["tag", &image, name]).ok();
    nest.exec(1, &["sh", "-c", &format!("docker save {name} | docker exec -i second docker load")]).ok();
    assert_eq!(nest.docker(2, &["run", "--rm", name, "echo", "hello"]).ok(), "hello");
}
