//! The Compose example's cluster, for `up --mesos` and `bench mesos`: a master and agents.

use super::framework::Framework;
use super::images;
use crate::engine::Engine;
use crate::workspace::Workspace;
use crate::{Result, progress};
use serde_json::Value;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};
use xshell::cmd;

/// An agent registers within a second or two of its node's start.
const REGISTER_TIME: Duration = Duration::from_secs(90);

/// How long a call of docker-compose may take, in seconds. Its default of 60 is too short for a busy machine.
const COMPOSE_TIME: &str = "180";

/// A Compose project of the example.
#[derive(Debug)]
pub struct Cluster<'a> {
    workspace: &'a Workspace,
    engine: &'a Engine,
    project: &'a str,
    /// The master's address and port.
    pub master: String,
}

impl<'a> Cluster<'a> {
    /// Starts the master and this many agents, and waits until they have registered.
    pub fn start(
        workspace: &'a Workspace,
        engine: &'a Engine,
        project: &'a str,
        agents: usize,
    ) -> Result<Self> {
        let mut cluster = Self { workspace, engine, project, master: String::new() };
        let root = workspace.root.display();
        let files = [
            format!("{root}/dind-launch/examples/compose/docker-compose.yml"),
            format!("{root}/tests/mesos/compose.yml"),
        ];
        let mut compose = Command::new("docker-compose");
        compose.args(["--project-name", project, "--file", &files[0], "--file", &files[1]]);
        compose.args(["up", "--detach", "--scale", &format!("agent={agents}")]);
        compose.env("DOCKER_HOST", &engine.host).env("DIND_MESOS_IMAGE", images::NODE);
        compose.env("DIND_TEST_PRELOAD", workspace.preload());
        compose.env("COMPOSE_HTTP_TIMEOUT", COMPOSE_TIME);
        progress::logged(workspace, "compose", compose)?;
        let master = cluster.containers("master")?;
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        cluster.master =
            format!("{}:5050", cluster.engine.ask(workspace, &["inspect", "--format", format, &master])?);
        cluster.wait_until_registered(agents)?;
        Ok(cluster)
    }

    /// The ids of a service's containers, one a line, as their hostnames have them.
    fn containers(&self, service: &str) -> Result<String> {
        let filters = [
            format!("label=com.docker.compose.project={}", self.project),
            format!("label=com.docker.compose.service={service}"),
        ];
        self.engine.ask(self.workspace, &["ps", "--quiet", "--filter", &filters[0], "--filter", &filters[1]])
    }

    /// The active agents, as the master lists them.
    pub fn agents(&self) -> Vec<Value> {
        let (shell, url) = (&self.workspace.shell, format!("http://{}/slaves", self.master));
        let pid = self.engine.pid.to_string();
        let wget = cmd!(shell, "nsenter --target {pid} --net busybox wget -q -O - {url}");
        let answer = wget.quiet().ignore_stderr().read().unwrap_or_default();
        let mut answer: Value = serde_json::from_str(&answer).unwrap_or_default();
        let agents: Vec<Value> = serde_json::from_value(answer["slaves"].take()).unwrap_or_default();
        agents.into_iter().filter(|agent| agent["active"] == true).collect()
    }

    /// Waits until this many agents have registered.
    pub fn wait_until_registered(&self, agents: usize) -> Result<()> {
        let deadline = Instant::now() + REGISTER_TIME;
        while self.agents().len() != agents {
            if Instant::now() > deadline {
                let seconds = REGISTER_TIME.as_secs();
                return Err(format!("not all of {agents} agents have registered within {seconds} s").into());
            }
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// The network that the nodes are on.
    pub fn network(&self) -> String {
        format!("{}_nodes", self.project)
    }

    /// Starts a framework and waits until it is subscribed.
    pub fn framework(&self) -> Result<Framework> {
        Framework::start(&self.engine.host, &self.network(), &self.master)
    }
}

/// Removes a project's containers, volumes and network, whether it runs or not; the nodes stop in their own order first.
pub fn remove(workspace: &Workspace, engine: &Engine, project: &str) -> Result<()> {
    let filter = format!("label=com.docker.compose.project={project}");
    let containers = engine.ask(workspace, &["ps", "--all", "--quiet", "--filter", &filter])?;
    let containers: Vec<&str> = containers.lines().collect();
    if !containers.is_empty() {
        engine.ask(workspace, &[&["stop"], &containers[..]].concat())?;
        engine.ask(workspace, &[&["rm", "--force", "--volumes"], &containers[..]].concat())?;
    }
    let networks = engine.ask(workspace, &["network", "ls", "--quiet", "--filter", &filter])?;
    for network in networks.lines() {
        engine.ask(workspace, &["network", "rm", network])?;
    }
    Ok(())
}
