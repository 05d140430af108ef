//! Starts the private engine and waits until it serves.

use super::paths::{LOCK_TIME, NAME_SERVER, Paths, UPLINK_RANGE};
use super::state::State;
use super::users::{self, User};
use super::{Engine, runtime};
use crate::workspace::Workspace;
use crate::{Result, progress};
use serde_json::json;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

pub(super) fn start(workspace: &Workspace) -> Result<Engine> {
    progress::step("start a private engine", || {
        super::clear(workspace)?;
        let paths = Paths::of(workspace);
        fs::create_dir_all(&paths.engine)?;
        users::forget(&paths);
        configure(&paths)?;
        launch(workspace, paths)
    })
}

fn configure(paths: &Paths) -> Result<()> {
    fs::create_dir_all(&paths.run)?;
    let mut config = json!({
        "data-root": paths.data(),
        "exec-root": paths.run.join("exec"),
        "pidfile": paths.run.join("docker.pid"),
        "hosts": [paths.docker_host()],
        "cgroup-parent": paths.cgroup,
        // There is no systemd in the namespaces that could make groups.
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "dns": [NAME_SERVER],
    });
    // Whoever may become root may use the engine without becoming root each time.
    if let Ok(group) = std::env::var("SUDO_GID") {
        config["group"] = json!(group);
    }
    // A copy, so that cargo can replace the original while the engine runs.
    let wrapper =
        |name: &str| fs::copy("/proc/self/exe", paths.engine.join(name)).map(|_| paths.engine.join(name));
    config["runtimes"] = json!({"crun": {"path": wrapper(runtime::CRUN)?}});
    let missing = runtime::missing_capabilities()?;
    if !missing.is_empty() {
        progress::note(&format!(
            "root has no {} on this machine: `--privileged` goes without",
            missing.join(", ")
        ));
        config["runtimes"][runtime::NAME] = json!({"path": wrapper(runtime::NAME)?});
        config["default-runtime"] = json!(runtime::NAME);
    }
    Ok(fs::write(paths.daemon_json(), config.to_string())?)
}

fn launch(workspace: &Workspace, paths: Paths) -> Result<Engine> {
    let (ours, theirs) = UnixStream::pair()?;
    // Both ends die with their processes: slirp4netns ends when PID 1 of the namespaces has ended.
    let (alive, watch) = UnixStream::pair()?;
    namespaces(workspace, &paths, theirs, alive)?;
    let mut owner = BufReader::new(ours);
    let init = expect(&mut owner, "pid", &paths)?.parse()?;
    let slirp = connect(workspace, &paths, init, watch)?;
    State::observe(init, slirp)?.save(&paths.state)?;
    writeln!(owner.get_mut(), "go")?;
    expect(&mut owner, "ready", &paths)?;
    // A former engine that was killed could not do it.
    paths.remove_contents().stderr(Stdio::null()).status()?;
    let user = Some(User::begin(&paths)?);
    Ok(Engine { host: paths.docker_host(), pid: init, private: Some(paths), owner: Some(owner), user })
}

/// A session of its own keeps Ctrl-C away: the engine's first process decides when it ends.
fn namespaces(workspace: &Workspace, paths: &Paths, line: UnixStream, alive: UnixStream) -> Result<()> {
    Command::new("setsid")
        .args(["flock", "--close", "--timeout", LOCK_TIME])
        .arg(paths.lock())
        .args(["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child"])
        .arg(std::env::current_exe()?)
        .arg("engine-init")
        .env("PATH", &workspace.path)
        .stdin(OwnedFd::from(line))
        .stdout(OwnedFd::from(alive))
        .stderr(File::create(paths.log())?)
        .spawn()?;
    Ok(())
}

/// Gives the namespace a way out, in user space. The machine's own loopback services stay out of reach.
fn connect(workspace: &Workspace, paths: &Paths, init: i32, watch: UnixStream) -> Result<i32> {
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
        .stderr(File::create(paths.engine.join("slirp.log"))?)
        .spawn()?;
    let mut ready = Vec::new();
    if let Some(stdout) = slirp.stdout.take() {
        stdout.take(1).read_to_end(&mut ready)?;
    }
    if ready.is_empty() {
        let log = progress::tail(&paths.engine.join("slirp.log"));
        return Err(format!("cannot connect the engine's network:\n{log}").into());
    }
    Ok(slirp.id() as i32)
}

/// Reads the next line of the engine's first process, which starts with `word`. Where that process has ended, the error
/// has the end of its log.
fn expect(owner: &mut BufReader<UnixStream>, word: &str, paths: &Paths) -> Result<String> {
    let mut line = String::new();
    owner.read_line(&mut line)?;
    match line.trim().strip_prefix(word) {
        Some(rest) => Ok(rest.trim().to_owned()),
        None => {
            let log = progress::tail(&paths.log());
            Err(format!("the private engine did not start; the end of `{}`:\n{log}", paths.log().display())
                .into())
        }
    }
}
