//! From `docker run` to an agent that its master knows, and to a first task that runs.

use crate::series::Series;
use crate::table::{Row, print};
use dind_lab::base::Base;
use dind_lab::engine::Engine;
use dind_lab::mesos::cluster::{self, Cluster};
use dind_lab::mesos::images;
use dind_lab::product::binaries;
use dind_lab::{Result, Workspace, progress, setup};
use std::time::Instant;

const PROJECT: &str = "dind-bench-mesos";
const NODE: &str = "dind-bench-mesos-agent";

/// Measures and prints.
pub(super) fn run(workspace: &Workspace, rounds: usize) -> Result<()> {
    setup::install(workspace, &[setup::BUILD, setup::ENGINE, setup::MESOS])?;
    binaries::build(workspace)?;
    let engine = Engine::find_or_start(workspace)?;
    images::build(workspace, &engine, Base::Usual)?;
    progress::heading(&format!("measure mesos, {rounds} rounds"));
    let measured = measure(workspace, &engine, rounds);
    let _ = engine.ask(workspace, &["rm", "--force", "--volumes", NODE]);
    cluster::remove(workspace, &engine, PROJECT)?;
    engine.release(workspace)?;
    measured
}

fn measure(workspace: &Workspace, engine: &Engine, rounds: usize) -> Result<()> {
    let cluster = Cluster::start(workspace, engine, PROJECT, 0)?;
    let mut framework = cluster.framework()?;
    let mut times = [const { Vec::new() }; 3];
    // The first round only warms up.
    for round in 0..=rounds {
        let task = format!("task-{round}");
        framework.submit(&task, "sleep 1000")?;
        let begun = Instant::now();
        start_node(workspace, engine, &cluster)?;
        let started = begun.elapsed();
        cluster.wait_until_registered(1)?;
        let registered = begun.elapsed();
        framework.state(&task, "TASK_RUNNING")?;
        let running = begun.elapsed();
        if round > 0 {
            for (times, time) in times.iter_mut().zip([started, registered, running]) {
                times.push(time.as_secs_f64() * 1e3);
            }
        }
        engine.ask(workspace, &["stop", NODE])?;
        engine.ask(workspace, &["rm", "--force", "--volumes", NODE])?;
        cluster.wait_until_registered(0)?;
    }
    let [started, registered, running] = times;
    let started = Series::new("`docker run` has returned", started);
    let rows = [
        Row::against(&started, &started),
        Row::against(&Series::new("the agent has registered", registered), &started),
        Row::against(&Series::new("the first task is RUNNING", running), &started),
    ];
    print("Mesos agent, from `docker run`", started.name, &rows);
    Ok(())
}

fn start_node(workspace: &Workspace, engine: &Engine, cluster: &Cluster) -> Result<()> {
    let (network, master) = (cluster.network(), format!("MESOS_MASTER={}", cluster.master));
    let preload = format!("{}:/preload:ro", workspace.preload().display());
    let run = ["run", "--detach", "--privileged", "--name", NODE, "--network", &network];
    let limits = ["--cpus", "1.5", "--memory", "1g", "--env", "DOCKER_NETWORK_OFFSET=auto"];
    let options = ["--env", &master, "--volume", &preload, "--env", "DIND_PRELOAD=/preload", images::NODE];
    engine.ask(workspace, &[&run[..], &limits, &options].concat()).map(drop)
}
