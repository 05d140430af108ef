//! `up --mesos`: a cluster of agents to try things with, and a first task.

use dind_lab::base::Base;
use dind_lab::engine::Engine;
use dind_lab::mesos::cluster::{self, Cluster};
use dind_lab::mesos::images;
use dind_lab::product::{binaries, image};
use dind_lab::{Result, Workspace, progress, setup};
use std::fmt::Write;

/// The Compose project.
const PROJECT: &str = "dind-up-mesos";

/// Enough to see that tasks of one reach those of the other.
const AGENTS: usize = 2;

/// The first task.
const TASK: &str = "hello";

/// Builds everything, starts a cluster, runs a task on it and shows what happened.
pub(super) fn up(workspace: &Workspace, base: Base) -> Result<()> {
    setup::install(workspace, &[setup::BUILD, setup::ENGINE, setup::MESOS])?;
    binaries::build(workspace)?;
    let engine = Engine::find_or_start(workspace)?;
    images::build(workspace, &engine, base)?;
    let shown = show(workspace, &engine);
    engine.keep_for(workspace, shown, remove)
}

/// Removes what `up` started.
pub(super) fn remove(workspace: &Workspace, engine: &Engine) -> Result<()> {
    cluster::remove(workspace, engine, PROJECT)
}

fn show(workspace: &Workspace, engine: &Engine) -> Result<String> {
    remove(workspace, engine)?;
    let cluster = progress::step(&format!("start a master and {AGENTS} agents"), || {
        Cluster::start(workspace, engine, PROJECT, AGENTS)
    })?;
    let (host, address, output) = progress::step("run a task", || {
        let mut framework = cluster.framework()?;
        framework.submit(TASK, "echo hello from the task at $(hostname -i); sleep 1")?;
        let running = framework.state(TASK, "TASK_RUNNING")?;
        let host = running["host"].as_str().ok_or("the task runs nowhere")?.to_owned();
        let address = running["addresses"][0].as_str().unwrap_or_default().to_owned();
        framework.state(TASK, "TASK_FINISHED")?;
        let label = format!("label=MESOS_TASK_ID={TASK}");
        let inner = ["exec", &host, "docker", "ps", "--all", "--quiet", "--filter", &label];
        let container = engine.ask(workspace, &inner)?;
        let output = engine.ask(workspace, &["exec", &host, "docker", "logs", &container])?;
        Ok((host, address, output))
    })?;
    summary(&cluster, engine, &format!("{output} (TASK_FINISHED on {host}, address {address})"), &host)
}

fn summary(cluster: &Cluster, engine: &Engine, task: &str, host: &str) -> Result<String> {
    // One line to paste, and then the commands as everywhere.
    let docker =
        if engine.is_private() { format!("export DOCKER_HOST={}\n  ", engine.host) } else { String::new() };
    let reach = if engine.is_private() {
        format!(" (from here: nsenter --target {} --net curl http://{}/slaves)", engine.pid, cluster.master)
    } else {
        String::new()
    };
    let mut text = format!("\nmaster  http://{}{reach}\n", cluster.master);
    for agent in cluster.agents() {
        let (resources, name) = (&agent["resources"], agent["hostname"].as_str().unwrap_or_default());
        let (cpus, memory, disk) = (&resources["cpus"], &resources["mem"], &resources["disk"]);
        writeln!(text, "agent   {name}: {cpus} CPUs, {memory} MiB memory, {disk} MiB disk")?;
    }
    write!(
        text,
        "task    {task}\n\
         \n\
         look further:\n  \
         {docker}docker exec {host} dind-launch status\n  \
         docker exec {host} docker ps --all\n  \
         docker run --rm --interactive --network {network} --env TASK_IMAGE={inner} {base} \
         mesos-framework {master}\n  \
         then type a task: {{\"id\": \"two\", \"network\": \"BRIDGE\", \"command\": \"ping -c 3 10.87.0.1\"}}\n\
         stop and remove everything:\n  \
         cargo xtask down",
        network = cluster.network(),
        inner = image::INNER,
        base = images::BASE,
        master = cluster.master,
    )?;
    Ok(text)
}
