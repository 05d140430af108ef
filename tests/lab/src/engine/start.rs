//! Starts the private engine and waits until it serves.

use super::state::State;
use super::{Engine, LOCK_TIME, NAME_SERVER, Places, UPLINK_RANGE};
use crate::workspace::Workspace;
use crate::{Result, progress, runtime};
use serde_json::json;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

pub(super) fn start(workspace: &Workspace) -> Result<Engine> {
    progress::step("start a private engine", || {
        super::clear(workspace)?;
        let places = Places::of(workspace);
        fs::create_dir_all(&places.engine)?;
        configure(&places)?;
        launch(workspace, places)
    })
}

fn configure(places: &Places) -> Result<()> {
    fs::create_dir_all(&places.run)?;
    let mut config = json!({
        "data-root": places.data(),
        "exec-root": places.run.join("exec"),
        "pidfile": places.run.join("docker.pid"),
        "hosts": [places.docker_host()],
        "cgroup-parent": places.cgroup,
        // There is no systemd in the namespaces that could make groups.
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "dns": [NAME_SERVER],
    });
    // Whoever may become root may use the engine without becoming root each time.
    if let Ok(group) = std::env::var("SUDO_GID") {
        config["group"] = json!(group);
    }
    let missing = runtime::missing_capabilities()?;
    if !missing.is_empty() {
        progress::note(&format!("this machine lacks {}: `--privileged` goes without", missing.join(", ")));
        let wrapper = places.engine.join(runtime::NAME);
        // A copy, so that cargo can replace the original while the engine runs.
        fs::copy("/proc/self/exe", &wrapper)?;
        config["runtimes"] = json!({runtime::NAME: {"path": wrapper}});
        config["default-runtime"] = json!(runtime::NAME);
    }
    Ok(fs::write(places.daemon_json(), config.to_string())?)
}

fn launch(workspace: &Workspace, places: Places) -> Result<Engine> {
    let (ours, theirs) = UnixStream::pair()?;
    // Both ends die with their processes: slirp4netns ends when PID 1 of the namespaces has ended.
    let (alive, watch) = UnixStream::pair()?;
    namespaces(workspace, &places, theirs, alive)?;
    let mut owner = BufReader::new(ours);
    let init = expect(&mut owner, "pid", &places)?.parse()?;
    let slirp = connect(workspace, &places, init, watch)?;
    State::observe(init, slirp)?.save(&places.state)?;
    writeln!(owner.get_mut(), "go")?;
    expect(&mut owner, "ready", &places)?;
    // A former engine that was killed could not do it.
    places.remove_contents().stderr(Stdio::null()).status()?;
    Ok(Engine { host: places.docker_host(), pid: init, private: Some(places), owner: Some(owner) })
}

/// A session of its own keeps Ctrl-C away: the engine's first process decides when it ends.
fn namespaces(workspace: &Workspace, places: &Places, line: UnixStream, alive: UnixStream) -> Result<()> {
    Command::new("setsid")
        .args(["flock", "--close", "--timeout", LOCK_TIME])
        .arg(places.lock())
        .args(["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child"])
        .arg(std::env::current_exe()?)
        .arg("engine-init")
        .env("PATH", &workspace.path)
        .stdin(OwnedFd::from(line))
        .stdout(OwnedFd::from(alive))
        .stderr(File::create(places.log())?)
        .spawn()?;
    Ok(())
}

/// Gives the namespace a way out, in user space. The machine's own loopback services stay out of reach.
fn connect(workspace: &Workspace, places: &Places, init: i32, watch: UnixStream) -> Result<i32> {
    let mut slirp = Command::new("setsid")
        .args([
            "slirp4netns",
            "--configure",
            "--mtu",
            "1500",
            "--cidr",
            UPLINK_RANGE,
            "--disable-host-loopback",
        ])
        .args(["--exit-fd", "0", "--ready-fd", "1", &init.to_string(), "tap0"])
        .env("PATH", &workspace.path)
        .stdin(OwnedFd::from(watch))
        .stdout(Stdio::piped())
        .stderr(File::create(places.engine.join("slirp.log"))?)
        .spawn()?;
    let mut ready = Vec::new();
    if let Some(stdout) = slirp.stdout.take() {
        stdout.take(1).read_to_end(&mut ready)?;
    }
    if ready.is_empty() {
        let log = progress::tail(&places.engine.join("slirp.log"));
        return Err(format!("cannot connect the engine's network:\n{log}").into());
    }
    Ok(slirp.id() as i32)
}

/// Reads the next line of the engine's first process, which starts with `word`; its end shows the log instead.
fn expect(owner: &mut BufReader<UnixStream>, word: &str, places: &Places) -> Result<String> {
    let mut line = String::new();
    owner.read_line(&mut line)?;
    match line.trim().strip_prefix(word) {
        Some(rest) => Ok(rest.trim().to_owned()),
        None => {
            let log = progress::tail(&places.log());
            Err(format!("the private engine does not start; the end of `{}`:\n{log}", places.log().display())
                .into())
        }
    }
}
