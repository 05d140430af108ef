//! PID 1 of the private engine's namespaces: starts dockerd, reaps, and takes everything along when it ends.
//!
//! It ends on request (`STOP`), when dockerd ends, and, unless it is kept, when its owner has disappeared and nobody else uses it: an
//! interrupted or killed `cargo xtask test` leaves nothing behind.

use super::cgroups;
use super::paths::{NAME_SERVER, Paths};
use super::users::{self, Unused};
use crate::Result;
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, wait};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// dockerd gives its containers 10 s and some more of its own.
const STOP_TIME: Duration = Duration::from_secs(20);

enum Event {
    /// The owner has made the network.
    Go,
    /// The owner's end of the line is closed.
    OwnerGone,
    /// After that, all others who use the engine have ended.
    Unused(Unused),
    /// dockerd serves its socket.
    Ready,
    /// `cargo xtask down`.
    Stop,
    /// A child has been reaped.
    Ended(Pid),
}

/// Runs the engine to its end. `line` is the connection to the owner.
pub fn run(paths: &Paths, line: UnixStream) -> Result<()> {
    let mut owner = line.try_clone()?;
    // The old /proc still shows the outer numbers.
    writeln!(owner, "pid {}", fs::read_link("/proc/self")?.display())?;
    let machine_run = File::open("/run")?;
    isolate(paths)?;
    let (sender, events) = channel();
    listen_to_owner(line, sender.clone());
    listen_to_datagrams(paths, sender.clone())?;
    let served = wait_for_go(&events).and_then(|()| serve(paths, &mut owner, sender, &events));
    let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
    while wait() != Err(Errno::ECHILD) {}
    cgroups::remove(&paths.cgroup)?;
    let _ = fs::remove_file(&paths.state);
    users::forget(paths);
    remove_run(paths, &machine_run)?;
    served
}

/// The directory lies on the machine's /run, which is covered by our own: only the descriptor still leads there.
fn remove_run(paths: &Paths, machine_run: &File) -> Result<()> {
    umount2(&paths.run, MntFlags::MNT_DETACH)?;
    let name = paths.run.file_name().unwrap_or_default();
    let machine_run = Path::new("/proc/self/fd").join(machine_run.as_raw_fd().to_string());
    Ok(fs::remove_dir_all(machine_run.join(name))?)
}

fn wait_for_go(events: &Receiver<Event>) -> Result<()> {
    loop {
        match events.recv()? {
            Event::Go => return Ok(()),
            Event::OwnerGone | Event::Stop => return Err("stopped before the engine was started".into()),
            _ => {}
        }
    }
}

fn serve(
    paths: &Paths,
    owner: &mut UnixStream,
    sender: Sender<Event>,
    events: &Receiver<Event>,
) -> Result<()> {
    let dockerd = Command::new("dockerd")
        .arg("--config-file")
        .arg(paths.daemon_json())
        .env("NOTIFY_SOCKET", paths.notify())
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .spawn()
        .map_err(|error| format!("cannot execute `dockerd`: {error}"))?;
    let dockerd = Pid::from_raw(dockerd.id() as i32);
    reap(sender.clone());
    loop {
        match events.recv()? {
            Event::Ready => writeln!(owner, "ready")?,
            Event::OwnerGone => wait_until_unused(paths, sender.clone()),
            // Whoever kept it was one of the last.
            Event::Unused(_) if users::is_kept(paths) => {}
            // Whoever comes now waits for the end.
            Event::Unused(_unused) => return stop(paths, dockerd, events),
            Event::Stop => return stop(paths, dockerd, events),
            Event::Ended(pid) if pid == dockerd => return Err("dockerd exited unexpectedly".into()),
            Event::Ended(_) | Event::Go => {}
        }
    }
}

fn wait_until_unused(paths: &Paths, events: Sender<Event>) {
    let unused = Paths::clone(paths);
    thread::spawn(move || Unused::wait(&unused).map(|unused| events.send(Event::Unused(unused))));
}

/// Containers go first, so that the data root that is kept has none; then dockerd in its own order.
fn stop(paths: &Paths, dockerd: Pid, events: &Receiver<Event>) -> Result<()> {
    let docker = paths.remove_contents().spawn()?;
    wait_for(Pid::from_raw(docker.id() as i32), events);
    kill(dockerd, Signal::SIGTERM)?;
    wait_for(dockerd, events);
    Ok(())
}

fn wait_for(pid: Pid, events: &Receiver<Event>) {
    let deadline = Instant::now() + STOP_TIME;
    while let Ok(event) = events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        if matches!(event, Event::Ended(ended) if ended == pid) {
            return;
        }
    }
}

/// Own /proc, own /run, own name server. With an own /run the machine's containerd is out of sight: dockerd would
/// use it when it finds its socket.
fn isolate(paths: &Paths) -> Result<()> {
    let none = None::<&str>;
    let resolv_conf = fs::canonicalize("/etc/resolv.conf").unwrap_or_else(|_| "/etc/resolv.conf".into());
    fs::create_dir_all(paths.outside())?;
    mount(Some(&paths.run), &paths.outside(), none, MsFlags::MS_BIND, none)?;
    mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::MS_NOSUID, Some("mode=755"))?;
    fs::create_dir_all(&paths.run)?;
    mount(Some(&paths.outside()), &paths.run, none, MsFlags::MS_MOVE, none)?;
    mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), none)?;
    name_server(paths, &resolv_conf)?;
    // As on a machine with systemd: inner mounts can be shared with `:rshared`.
    mount(none, "/", none, MsFlags::MS_SHARED | MsFlags::MS_REC, none)?;
    fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
    Ok(())
}

fn name_server(paths: &Paths, resolv_conf: &Path) -> Result<()> {
    let ours = paths.run.join("resolv.conf");
    fs::write(&ours, format!("nameserver {NAME_SERVER}\n"))?;
    // On many machines it is a link into /run, which is empty now.
    if !resolv_conf.exists() {
        fs::create_dir_all(resolv_conf.parent().unwrap_or(Path::new("/")))?;
        fs::write(resolv_conf, "")?;
    }
    mount(Some(&ours), resolv_conf, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
    Ok(())
}

fn listen_to_owner(line: UnixStream, events: Sender<Event>) {
    thread::spawn(move || {
        for word in BufReader::new(line).lines().map_while(std::io::Result::ok) {
            let _ = match word.as_str() {
                "go" => events.send(Event::Go),
                _ => Ok(()),
            };
        }
        events.send(Event::OwnerGone)
    });
}

/// dockerd reports its readiness as systemd wants it (sd_notify(3)); `down` uses the same socket.
fn listen_to_datagrams(paths: &Paths, events: Sender<Event>) -> Result<()> {
    let socket = UnixDatagram::bind(paths.notify())?;
    thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok(length) = socket.recv(&mut buffer) {
            for word in String::from_utf8_lossy(&buffer[..length]).lines() {
                let _ = match word {
                    "READY=1" => events.send(Event::Ready),
                    "STOP" => events.send(Event::Stop),
                    _ => Ok(()),
                };
            }
        }
    });
    Ok(())
}

fn reap(events: Sender<Event>) {
    thread::spawn(move || {
        loop {
            match wait() {
                Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..)) => {
                    let _ = events.send(Event::Ended(pid));
                }
                Err(Errno::EINTR) | Ok(_) => {}
                Err(_) => return,
            }
        }
    });
}
