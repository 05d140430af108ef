//! Engine 29 and later write their rules with iptables or with nftables. The rules of the latter are compared with those of its
//! stand-in, `dind-nft-engine`, which the tier `netns` has in its place.

use crate::major_of_the_image;
use dind_tests::outer::{LIMIT, Network, Node, SLEEP, Volume, docker, image, inner_image};
use dind_tests::{eventually, scratch};
use nix::sched::{CloneFlags, unshare};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// The first engine with a choice.
const HAS_CHOICE: u64 = 29;

const NFTABLES: [&str; 2] = ["--env", "DIND_NET_FIREWALL=nftables"];

/// Of a container on one network.
const ADDRESSES: &str = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.GlobalIPv6Address}}{{end}}";

#[test]
fn the_stand_in_for_an_engine_with_nftables_writes_the_rules_of_this_one() {
    if major_of_the_image() < HAS_CHOICE {
        let node = Node::start(&[], SLEEP);
        assert_eq!(node.until_running().firewall(), None);
        return;
    }
    let network = Network::new("10.219.0.0/16", "10.219.0.0/24", &["--ipv6", "--subnet", "fd3b::/64"]);
    for offset in ["", "0.0.1.0"] {
        let offset = format!("DOCKER_NETWORK_OFFSET={offset}");
        let options = [&NFTABLES[..], &["--network", &network.name, "--env", &offset]].concat();
        let node = Node::start(&options, SLEEP);
        assert_eq!(node.until_running().firewall().as_deref(), Some("nftables"));
        node.inner(&["network", "create", "--ipv6", "--opt", "com.docker.network.bridge.name=br-own", "own"]);
        let mut verbs = vec!["start".to_owned()];
        let subnets = node.inner(&[
            "network",
            "inspect",
            "--format",
            "{{range .IPAM.Config}}{{.Subnet}} {{end}}",
            "own",
        ]);
        verbs.push(format!("network br-own {}", subnets.trim()));
        for (name, bridge, port) in [("own", "br-own", "8080"), ("bridge", "docker0", "8081")] {
            let publish = format!("{port}:80");
            let id = node.inner_run(&["--network", name, "--publish", &publish], "exec sleep 1000");
            let addresses = node.inner(&["inspect", "--format", ADDRESSES, &id]);
            for address in addresses.split_whitespace() {
                verbs.push(format!("endpoint {bridge} {address}"));
                verbs.push(format!("publish {bridge} {address} 80 {port}"));
            }
        }
        let place = node.process().unwrap().join("ns/net");
        let real = rules(|family| {
            Command::new("nsenter").arg(format!("--net={}", place.display())).args(list(family)).output()
        });
        let config = node.exec(&["cat", "/run/dind/daemon.json"]).ok();
        let same = stand_in(&config, &verbs);
        for (name, content) in &real {
            assert_eq!(same.get(name), Some(content), "{offset}: {name}, after {verbs:#?}");
        }
        assert_eq!(same.len(), real.len(), "{offset}: {:?}", same.keys());
        assert!(real["ip chain nat-prerouting-and-output"].len() == 3, "two ports are published: {real:#?}");
    }
}

/// What `nft` is asked.
fn list(family: &str) -> [&str; 6] {
    ["nft", "--json", "list", "table", family, "docker-bridges"]
}

/// The rules of the stand-in, in a network namespace of its own.
fn stand_in(config: &str, verbs: &[String]) -> BTreeMap<String, Vec<Value>> {
    let directory = scratch();
    let file = directory.path().join("daemon.json");
    fs::write(&file, config).unwrap();
    let run = || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        for control in ["ipv4/ip_forward", "ipv6/conf/all/forwarding", "ipv6/conf/default/forwarding"] {
            fs::write(Path::new("/proc/sys/net").join(control), "1").unwrap();
        }
        for words in verbs {
            let mut command = Command::new(env!("CARGO_BIN_EXE_dind-nft-engine"));
            let output = command.arg(&file).args(words.split(' ')).output().unwrap();
            assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
        }
        rules(|family| {
            let words = list(family);
            Command::new(words[0]).args(&words[1..]).output()
        })
    };
    std::thread::scope(|scope| scope.spawn(run).join().unwrap())
}

/// The chains and maps of both tables, by their names: of a chain its hook and its rules in their order, of a map its elements.
fn rules(ask: impl Fn(&str) -> std::io::Result<Output>) -> BTreeMap<String, Vec<Value>> {
    let mut all = BTreeMap::<String, Vec<Value>>::new();
    for family in ["ip", "ip6"] {
        let output = ask(family).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
        for item in listed["nftables"].as_array().unwrap() {
            let (kind, item) = item.as_object().unwrap().iter().next().unwrap();
            match kind.as_str() {
                "chain" | "map" => {
                    let name = format!("{family} {kind} {}", item["name"].as_str().unwrap());
                    all.entry(name).or_default().push(comparable(item));
                }
                "rule" => {
                    let name = format!("{family} chain {}", item["chain"].as_str().unwrap());
                    all.entry(name).or_default().push(comparable(item));
                }
                _ => {}
            }
        }
    }
    all
}

/// Without what counts, and with the elements of a map in an order.
fn comparable(item: &Value) -> Value {
    match item {
        Value::Object(fields) => {
            let kept =
                fields.iter().filter(|(name, _)| !["handle", "packets", "bytes"].contains(&name.as_str()));
            let mut kept: Map<_, _> = kept.map(|(name, value)| (name.clone(), comparable(value))).collect();
            if let Some(Value::Array(elements)) = kept.get_mut("elem") {
                elements.sort_by_key(ToString::to_string);
            }
            Value::Object(kept)
        }
        Value::Array(items) => items.iter().map(comparable).collect(),
        other => other.clone(),
    }
}

/// What `doctor` lists as impossible in a node.
fn limitations(node: &Node) -> Vec<Value> {
    let report: Value = serde_json::from_str(&node.exec(&["dind-launch", "doctor"]).ok()).unwrap();
    report["result"]["limitations"].as_array().cloned().unwrap_or_default()
}

#[test]
fn doctor_lists_what_an_engine_with_nftables_refuses_and_a_node_of_a_swarm_keeps_iptables() {
    let has_choice = major_of_the_image() >= HAS_CHOICE;
    if has_choice {
        let node = Node::start(&NFTABLES, SLEEP);
        node.until_running();
        let listed = limitations(&node);
        assert_eq!(listed.len(), 1, "{listed:?}");
        let refused = node.exec(&["sh", "-c", listed[0]["command"].as_str().unwrap()]);
        assert!(refused.stderr.contains(listed[0]["error"].as_str().unwrap()), "{refused:?}");
    }
    let volume = Volume::new();
    let data = format!("{}:/var/lib/docker", volume.name);
    let node = Node::start(&["--volume", &data, "--env", "DIND_NET_FIREWALL=iptables"], SLEEP);
    node.until_running();
    assert_eq!(limitations(&node), Vec::<Value>::new());
    node.inner(&["swarm", "init", "--advertise-addr", "127.0.0.1"]);
    assert_eq!(node.stop().0, 143, "{}", node.log());
    drop(node);

    let node = Node::start(&["--volume", &data, "--env", "DIND_NET_FIREWALL=auto"], SLEEP);
    node.until_running();
    let firewall = &node.record()["documents"]["net"]["result"]["firewall"];
    let expected = if has_choice { json!(["iptables", "swarm"]) } else { json!([null, null]) };
    assert_eq!(json!([firewall["backend"], firewall["reason"]]), expected);
    eventually("the swarm is there again", LIMIT, || {
        let shown = node.inner_docker(&["node", "ls", "--format", "{{.Status}} {{.ManagerStatus}}"]);
        (shown.stdout == "Ready Leader").then_some(())
    });
    drop(node);
}

#[test]
fn an_engine_with_nftables_needs_no_iptables() {
    let has_choice = major_of_the_image() >= HAS_CHOICE;
    let remove = "rm -f $(command -v iptables)";
    let script = format!("{remove}; dind-launch doctor");
    let asked = docker(&["run", "--rm", "--privileged", "--entrypoint", "sh", &image(), "-c", &script]);
    let report: Value = serde_json::from_str(&asked.stdout).unwrap();
    let of = if report["ok"] == true { &report["result"] } else { &report["error"]["details"] };
    let check = of["checks"].as_array().unwrap().iter().find(|check| check["name"] == "iptables").unwrap();
    assert_eq!(check["verdict"], if has_choice { "ok" } else { "missing" }, "{check}");
    if has_choice {
        let script = format!("{remove}; exec dind-launch run -- sleep infinity");
        let options = ["--privileged", "--env", "DIND_NET_FIREWALL=auto", "--entrypoint", "sh"];
        let node = Node::of_image(&image(), &options, &["-c", &script]);
        assert_eq!(node.until_running().firewall().as_deref(), Some("nftables"));
        assert_eq!(node.inner(&["run", "--rm", &inner_image(), "echo", "hello"]), "hello");
    }
}
