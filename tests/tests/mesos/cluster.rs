//! The cluster of the example: its Compose file, and what its master reports over HTTP.

use dind_tests::outer::{Ended, LIMIT, Node, address_of, docker, host, image, on_host};
use dind_tests::{eventually, stretched, unique};
use serde_json::Value;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

const EXAMPLE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../dind-launch/examples/compose/docker-compose.yml");
const OURS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/mesos/compose.yml");

/// The example has one network of one range, so there is one cluster at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// A running cluster; it is gone with its handle.
pub(crate) struct Cluster {
    project: String,
    /// The master's address and port.
    pub(crate) master: String,
    _alone: MutexGuard<'static, ()>,
}

impl Cluster {
    /// Starts the example's master and so many agents, and waits until all have registered.
    pub(crate) fn up(agents: usize) -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut cluster = Self { project: unique("mesos"), master: String::new(), _alone: alone };
        let scale = format!("agent={agents}");
        cluster.compose(&["up", "--detach", "--scale", &scale]).ok();
        let [master] = &cluster.containers("master")[..] else { panic!("there is one master") };
        cluster.master = format!("{}:5050", address_of(master));
        eventually("all agents have registered", LIMIT, || (cluster.active() == agents).then_some(()));
        cluster
    }

    fn compose(&self, args: &[&str]) -> Ended {
        let mut command = Command::new("docker-compose");
        command.args(["--project-name", &self.project, "--file", EXAMPLE, "--file", OURS]).args(args);
        // Its own bound on each answer of the engine is a minute, which a busy machine may need for so many nodes.
        command.env("COMPOSE_HTTP_TIMEOUT", stretched(LIMIT).as_secs().to_string());
        command.env("DOCKER_HOST", host()).env("DIND_MESOS_IMAGE", image()).output().unwrap().into()
    }

    /// The ids of a service's containers, as hostnames have them.
    pub(crate) fn containers(&self, service: &str) -> Vec<String> {
        let project = format!("label=com.docker.compose.project={}", self.project);
        let service = format!("label=com.docker.compose.service={service}");
        let filters = ["--filter", &project, "--filter", &service, "--format", "{{.ID}}"];
        let ids = docker(&[&["ps", "--all"][..], &filters].concat()).ok();
        ids.lines().map(str::to_owned).collect()
    }

    /// The agents, in any order.
    pub(crate) fn agents(&self) -> Vec<Node> {
        self.containers("agent").into_iter().map(Node::named).collect()
    }

    /// The network that the nodes are on.
    pub(crate) fn network(&self) -> String {
        format!("{}_nodes", self.project)
    }

    /// What the master reports of its agents.
    pub(crate) fn registered(&self) -> Vec<Value> {
        let url = format!("http://{}/slaves", self.master);
        let answer = on_host(&["busybox", "wget", "-q", "-O", "-", &url]);
        let mut answer: Value = serde_json::from_str(&answer.stdout).unwrap_or_default();
        serde_json::from_value(answer["slaves"].take()).unwrap_or_default()
    }

    /// What the master reports of one agent.
    pub(crate) fn agent(&self, hostname: &str) -> Option<Value> {
        self.registered().into_iter().find(|agent| agent["hostname"] == hostname && agent["active"] == true)
    }

    fn active(&self) -> usize {
        self.registered().iter().filter(|agent| agent["active"] == true).count()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let down = self.compose(&["down", "--volumes", "--timeout", "10"]);
        if !std::thread::panicking() {
            down.ok();
            assert!(self.containers("agent").is_empty() && self.containers("master").is_empty());
        }
    }
}
