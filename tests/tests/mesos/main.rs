//! A real Mesos on nodes: the example's cluster, a framework, and tasks in the inner engines.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cluster;
mod framework;

use cluster::Cluster;
use dind_tests::outer::{LIMIT, Node, docker, ping_from_host, setting};
use dind_tests::{eventually, promise, scratch, seconds, within};
use framework::Framework;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A task that stays, and ends when it is asked to.
const STAYS: &str = "trap 'exit 0' TERM; while :; do sleep 0.1; done";

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// The inner containers of tasks; with `all`, those that have ended, too.
fn tasks_on(node: &Node, all: bool) -> Vec<String> {
    let all = if all { &["--all"][..] } else { &[] };
    let names = node.inner(&[&["ps", "--format", "{{.Names}}"], all].concat());
    names.lines().filter(|name| name.starts_with("mesos-")).map(str::to_owned).collect()
}

/// The inner container of a task, by its id.
fn container_of(node: &Node, id: &str) -> String {
    node.inner(&["ps", "--quiet", "--filter", &format!("label=MESOS_TASK_ID={id}")])
}

#[test]
fn the_example_s_cluster_runs_tasks_in_its_inner_engines() {
    let cluster = Cluster::up(3);
    let nodes = cluster.agents();
    assert_eq!(nodes.len(), 3);
    let mut framework = Framework::subscribe(&cluster);
    let (one, two) = (&nodes[0], &nodes[1]);

    each_agent_offers_a_disk_of_its_own(&cluster, &nodes);
    kinds_of_tasks(&mut framework);
    addresses(&mut framework, one, two);
    thirty_at_once(&mut framework, &nodes);
    a_killed_agent_comes_back(&cluster, &mut framework, two);
    a_stop_is_reported(&mut framework, one);
    an_agent_at_a_freed_address_is_a_new_one(&cluster, &mut framework, two);
    assert!(!framework.has_tasks_outside());
}

/// What an agent offers is its own, reserved, and no other uses it.
fn each_agent_offers_a_disk_of_its_own(cluster: &Cluster, nodes: &[Node]) {
    let offered: Vec<_> =
        cluster.registered().iter().map(|agent| agent["resources"]["disk"].as_f64()).collect();
    // VAR_LIB_DOCKER_SIZE of the suite, in MiB.
    assert_eq!(offered, vec![Some(1024.0); nodes.len()]);
    let disks: Vec<_> = nodes.iter().map(Disk::of).collect();
    let devices: BTreeSet<_> = disks.iter().map(|disk| disk.device.as_str()).collect();
    assert_eq!(devices.len(), nodes.len(), "{disks:?}");
    for disk in &disks {
        assert!((900 << 20..=1024 << 20).contains(&disk.size), "{disks:?}");
        assert!(disk.reserved >= 1024 << 20, "it is sparse: {disks:?}");
    }
    nodes[0].exec(&["fallocate", "-l", "500MiB", "/var/lib/docker/filler"]).ok();
    let now: Vec<_> = nodes.iter().map(Disk::of).collect();
    assert!(now[0].available + (400 << 20) < disks[0].available, "{now:?} {disks:?}");
    assert!(now[1].available + (100 << 20) > disks[1].available, "{now:?} {disks:?}");
    nodes[0].exec(&["rm", "/var/lib/docker/filler"]).ok();
}

/// The disk that a node's data root lies on, in bytes.
#[derive(Debug)]
struct Disk {
    device: String,
    size: u64,
    available: u64,
    reserved: u64,
}

impl Disk {
    fn of(node: &Node) -> Self {
        let df = node.exec(&["df", "-B1", "--output=source,size,avail", "/var/lib/docker"]).ok();
        let words: Vec<_> = df.lines().last().unwrap().split_whitespace().collect();
        let number = |text: &str| text.trim().parse().unwrap();
        let blocks: u64 = number(&node.exec(&["stat", "--format", "%b", "/data/docker"]).ok());
        Self {
            device: words[0].to_owned(),
            size: number(words[1]),
            available: number(words[2]),
            reserved: blocks * 512,
        }
    }
}

fn kinds_of_tasks(framework: &mut Framework) {
    let executor = include_str!("../../mesos/executor.sh");
    for task in [
        json!({"id": "host", "network": "HOST", "command": "echo hello; sleep 1"}),
        json!({"id": "bridge", "network": "BRIDGE", "command": "echo hello; sleep 1"}),
        json!({"id": "fails", "command": "exit 3"}),
        json!({"id": "custom", "executor": executor}),
    ] {
        framework.submit(&task);
    }
    for task in ["host", "bridge", "custom"] {
        framework.state(task, "TASK_RUNNING");
        framework.state(task, "TASK_FINISHED");
    }
    let failed = framework.state("fails", "TASK_FAILED");
    assert!(failed["message"].as_str().unwrap().contains("status 3"), "{failed}");
}

fn addresses(framework: &mut Framework, one: &Node, two: &Node) {
    let mut addresses = Vec::new();
    for (task, node) in [("stays-1", one), ("stays-2", two)] {
        framework.submit(&json!({"id": task, "network": "BRIDGE", "host": node.name, "command": STAYS}));
        let running = framework.state(task, "TASK_RUNNING");
        assert_eq!(running["host"], node.name.as_str());
        addresses.push(running["addresses"][0].as_str().unwrap().to_owned());
    }
    let range = |address: &str| address.rsplit_once('.').unwrap().0.to_owned();
    assert_ne!(range(&addresses[0]), range(&addresses[1]), "each node has its own range");
    for address in &addresses {
        let ping = ping_from_host(address);
        assert_eq!(ping.status, 0, "{ping:?}");
    }
    let first = container_of(one, &framework.id("stays-1"));
    one.inner(&["exec", &first, "ping", "-c", "1", "-W", &seconds(5), &addresses[1]]);
}

fn thirty_at_once(framework: &mut Framework, nodes: &[Node]) {
    let ended = |nodes: &[Node]| nodes.iter().map(|node| tasks_on(node, true).len()).sum::<usize>();
    let before = ended(nodes);
    let names: Vec<_> = (0..30).map(|number| format!("many-{number}")).collect();
    for name in &names {
        framework.submit(&json!({"id": name, "network": "BRIDGE", "command": "sleep 2"}));
    }
    for name in &names {
        framework.state(name, "TASK_RUNNING");
        assert!(!framework.has_tasks_outside());
    }
    for name in &names {
        framework.state(name, "TASK_FINISHED");
    }
    assert_eq!(ended(nodes) - before, 30);
}

fn a_stop_is_reported(framework: &mut Framework, node: &Node) {
    let asked = now();
    let (status, took) = std::thread::scope(|scope| {
        let stop = scope.spawn(|| node.stop());
        let lost = framework.state("stays-1", "TASK_LOST");
        let heard = lost["at"].as_f64().unwrap() - asked;
        within("the loss of a task", Duration::from_secs_f64(heard.max(0.0)), Duration::from_secs(2));
        stop.join().unwrap()
    });
    // The agent's own: it has unregistered, or was asked to end before its executors had.
    assert!([0, 143].contains(&status), "{status}: {}", node.log());
    promise("docker stop", took, Duration::from_millis(9_500));
}

fn a_killed_agent_comes_back(cluster: &Cluster, framework: &mut Framework, node: &Node) {
    let id = cluster.agent(&node.name).unwrap()["id"].clone();
    // All lower addresses are in use, so the outer engine gives it its own again.
    let killed = kill_and_start(node);
    let agent = eventually("the agent has re-registered", LIMIT, || {
        cluster.agent(&node.name).filter(|agent| agent["reregistered_time"].as_f64() > Some(killed))
    });
    assert_eq!(agent["id"], id, "it is the same agent");
    framework.end_since("stays-2", killed);
    node.until_running();
    assert_eq!(tasks_on(node, false), Vec::<String>::new(), "orphans are left");
    framework.submit(&json!({"id": "after", "host": node.name, "command": "true"}));
    framework.state("after", "TASK_FINISHED");
}

/// By now a lower address is free. Under its old id Mesos would refuse an agent that has another.
fn an_agent_at_a_freed_address_is_a_new_one(cluster: &Cluster, framework: &mut Framework, node: &Node) {
    let before = cluster.agent(&node.name).unwrap();
    let killed = kill_and_start(node);
    let agent = eventually("the agent has registered", LIMIT, || {
        let times = ["registered_time", "reregistered_time"];
        cluster
            .agent(&node.name)
            .filter(|agent| times.iter().any(|time| agent[*time].as_f64() > Some(killed)))
    });
    let host = |agent: &Value| agent["pid"].as_str().unwrap().rsplit_once(':').unwrap().0.to_owned();
    let address = |agent: &Value| host(agent).rsplit_once('@').unwrap().1.to_owned();
    assert_eq!(address(&agent) == address(&before), agent["id"] == before["id"], "{before} {agent}");
    framework.submit(&json!({"id": "after-move", "host": node.name, "command": "true"}));
    framework.state("after-move", "TASK_FINISHED");
}

fn kill_and_start(node: &Node) -> f64 {
    let killed = now();
    docker(&["kill", &node.name]).ok();
    assert_eq!(node.exit_status(), 137);
    docker(&["start", &node.name]).ok();
    killed
}

#[test]
fn an_agent_offers_its_limits_and_keeps_its_tasks_over_a_stop_by_term() {
    let cluster = Cluster::up(0);
    let network = cluster.network();
    let limits = ["--network", &network, "--cpus", "1.5", "--memory", "1g"];
    let settings = ["--env", "MESOS_MASTER=master:5050", "--env", "DIND_MAIN_STOP_SIGNAL=TERM"];
    // No command: the launcher finds the agent.
    let node = Node::start(&[&limits[..], &settings].concat(), &[]);
    let hostname = docker(&["inspect", "--format", "{{.Config.Hostname}}", &node.name]).ok();
    let registered = || eventually("the agent has registered", LIMIT, || cluster.agent(&hostname));
    let agent = registered();
    offers_its_limits(&node, &agent);

    let mut framework = Framework::subscribe(&cluster);
    framework.submit(&json!({"id": "stays", "network": "BRIDGE", "command": STAYS}));
    framework.state("stays", "TASK_RUNNING");
    let (status, _) = node.stop();
    assert_eq!(status, 143, "{}", node.log());
    assert_eq!(framework.states("stays"), ["TASK_RUNNING"], "the agent has not left");
    let started = now();
    docker(&["start", &node.name]).ok();
    let again = eventually("the agent has re-registered", LIMIT, || {
        cluster.agent(&hostname).filter(|agent| agent["reregistered_time"].as_f64() > Some(started))
    });
    assert_eq!((&again["id"], &again["resources"]), (&agent["id"], &agent["resources"]));
    // Its container has been stopped with the node: the agent finds it, and reports its end.
    framework.end_since("stays", started);
    assert_eq!(tasks_on(&node, false), Vec::<String>::new(), "orphans are left");
}

fn offers_its_limits(node: &Node, agent: &Value) {
    let resources = &agent["resources"];
    assert_eq!((&resources["cpus"], &resources["mem"]), (&json!(1.5), &json!(768.0)), "{agent}");
    assert_eq!(resources["ports"], "[31000-32000]");
    let record = node.record();
    let space = record["documents"]["storage"]["result"]["space"]["total_bytes"].as_u64().unwrap();
    assert_eq!(resources["disk"].as_f64(), Some((space >> 20) as f64), "{agent}");
    let defaults = &record["mesos"]["defaults"];
    assert_eq!(defaults["MESOS_CONTAINERIZERS"], "docker,mesos");
    let root = defaults["MESOS_CGROUPS_ROOT"].as_str().unwrap();
    // Mesos 1.11 knows no other cgroups than v1.
    if record["documents"]["prepare"]["result"]["cgroup_version"] == "v1" {
        node.exec(&["test", "-d", &format!("/sys/fs/cgroup/freezer/{root}")]).ok();
    }
    let mounted = node.exec(&["grep", " /var/lib/mesos ", "/proc/self/mountinfo"]).ok();
    assert!(!mounted.contains(" - overlay "), "{mounted}");
    let plan: Value = serde_json::from_str(&node.exec(&["dind-launch", "plan"]).ok()).unwrap();
    assert_eq!(&plan["result"]["mesos"]["defaults"], defaults, "the plan says what was done");
}

#[test]
fn the_kubernetes_manifest_follows_its_schema() {
    let validator = setting("DIND_TEST_KUBERNETES_VALIDATE");
    let manifest = include_str!("../../../dind-launch/examples/kubernetes/agents.yaml");
    let directory = scratch();
    let validate = |text: &str| {
        let file = directory.path().join("manifest.yaml");
        std::fs::write(&file, text).unwrap();
        std::process::Command::new(&validator).arg("--strict").arg(file).output().unwrap().status.success()
    };
    assert!(validate(manifest));
    assert!(!validate(&manifest.replace("readinessProbe", "readynessProbe")), "it looks at every field");
    for line in ["privileged: true", r#"command: ["dind-launch", "status", "--healthy"]"#] {
        assert!(manifest.contains(line), "{line}");
    }
}
