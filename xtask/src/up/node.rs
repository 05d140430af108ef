//! `up`: one node to try things with.

use dind_lab::base::Base;
use dind_lab::engine::Engine;
use dind_lab::product::{
    binaries,
    image::{self, Recipe},
};
use dind_lab::{Result, Workspace, progress, setup};
use serde_json::Value;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The outer container.
const NAME: &str = "dind-up";

/// The launcher gives its engine 60 s (`DIND_READY_TIMEOUT`) and then reports why it did not come up.
const READY_TIME: Duration = Duration::from_secs(90);

/// Builds everything, starts a node, runs a container inside it and shows what happened.
pub(super) fn up(workspace: &Workspace, base: Base) -> Result<()> {
    setup::install(workspace, &[setup::BUILD, setup::ENGINE])?;
    binaries::build(workspace)?;
    let engine = Engine::find_or_start(workspace)?;
    let image = image::build(workspace, &engine, Recipe { base, ..Recipe::default() })?;
    let shown = start(workspace, &engine, &image).and_then(|()| {
        let output = progress::step("run a container inside the node", || {
            inside(
                workspace,
                &engine,
                &["run", "--rm", image::INNER, "sh", "-c", "echo hello from $(hostname -i)"],
            )
        })?;
        summary(workspace, &engine, &output)
    });
    engine.keep_for(workspace, shown, remove)
}

fn start(workspace: &Workspace, engine: &Engine, image: &str) -> Result<()> {
    remove(workspace, engine)?;
    progress::step("start a node", || {
        let preload = format!("{}:/preload:ro", workspace.preload().display());
        let run = ["run", "--detach", "--privileged", "--name", NAME, "--hostname", NAME];
        let options = ["--volume", &preload, "--env", "DIND_PRELOAD=/preload", image];
        engine.ask(workspace, &[&run[..], &options].concat())?;
        wait_until_running(workspace, engine)
    })
}

fn wait_until_running(workspace: &Workspace, engine: &Engine) -> Result<()> {
    let deadline = Instant::now() + READY_TIME;
    loop {
        let status = engine.ask(workspace, &["exec", NAME, "dind-launch", "status"]).unwrap_or_default();
        let status: Value = serde_json::from_str(&status).unwrap_or_default();
        if status["result"]["state"] == "running" {
            return Ok(());
        }
        let alive = engine.ask(workspace, &["inspect", "--format", "{{.State.Running}}", NAME])? == "true";
        if !alive || Instant::now() > deadline {
            let output = engine.docker(workspace, &["logs", "--tail", "25", NAME]).output()?;
            let logs = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(format!("the node does not come up; the end of its log:\n{logs}").into());
        }
        sleep(Duration::from_millis(100));
    }
}

/// The node stops in its own order first: only it knows its loop device and its inner containers.
pub(super) fn remove(workspace: &Workspace, engine: &Engine) -> Result<()> {
    let name = format!("name=^/{NAME}$");
    if engine.ask(workspace, &["ps", "--all", "--quiet", "--filter", &name])?.is_empty() {
        return Ok(());
    }
    engine.ask(workspace, &["stop", NAME])?;
    engine.ask(workspace, &["rm", "--force", "--volumes", NAME]).map(drop)
}

/// A docker command of the inner engine.
fn inside(workspace: &Workspace, engine: &Engine, args: &[&str]) -> Result<String> {
    engine.ask(workspace, &[&["exec", NAME, "docker"], args].concat())
}

fn summary(workspace: &Workspace, engine: &Engine, output: &str) -> Result<String> {
    let address = ["inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", NAME];
    let subnet = ["network", "inspect", "--format", "{{range .IPAM.Config}}{{.Subnet}}{{end}}", "bridge"];
    let address = engine.ask(workspace, &address)?;
    let version = inside(workspace, engine, &["version", "--format", "{{.Server.Version}}"])?;
    let driver = inside(workspace, engine, &["info", "--format", "{{.Driver}}"])?;
    let subnet = inside(workspace, engine, &subnet)?;
    // One line to paste, and then the commands as everywhere. Addresses are in the engine's own network namespace.
    let (host, near) = if engine.is_private() {
        let near = format!("its address is reached by\n  nsenter --net --target {} COMMAND\n", engine.pid);
        (format!("export DOCKER_HOST={}\n  ", engine.host), near)
    } else {
        (String::new(), String::new())
    };
    Ok(format!(
        "\nouter container  {NAME}, {address}\n\
         inner engine     Docker {version}, storage driver {driver}, subnet {subnet}\n\
         inner container  {output}\n\
         \n\
         look further:\n  \
         {host}docker exec -it {NAME} bash\n  \
         docker exec {NAME} docker run --rm {inner} ip address\n  \
         docker exec {NAME} dind-launch status\n  \
         docker logs {NAME}\n\
         {near}\
         stop and remove everything:\n  \
         cargo xtask down",
        inner = image::INNER
    ))
}
