//! The containers that are compared: bare dockerd and the node, both as PID 1 of the same image.

use super::api::Api;
use super::peer::STEPS;
use super::site::{DataRoot, Kind, Site};
use crate::series::timed;
use dind_lab::Result;
use dind_lab::product::image;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;
use serde_json::Value;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Says on a pipe, and in its log, that PID 1 has begun, and becomes what is measured. Bare dockerd does not come back where the outer
/// engine had to kill it, unless its pid files are removed.
const BEGIN: [&str; 3] = [
    "-c",
    "rm -f /run/docker.pid /run/docker/containerd/containerd.pid; echo begun >&2; echo >/bench/begun; exec \"$@\"",
    "sh",
];

/// How long the outer engine may take until PID 1 has begun, in milliseconds.
const BEGIN_LIMIT: u16 = 30_000;

/// How long inner containers may take to come back, and how often they are counted.
const COME_BACK: (Duration, Duration) = (Duration::from_secs(120), Duration::from_millis(50));

/// What the inner containers do: nothing, and on TERM they end and leave a line that says so.
const INNER: &str = "trap 'echo >>/bench/ends; exit 0' TERM; sleep infinity & wait";

/// A container. It is gone, with its volumes, when this is.
pub(crate) struct Container<'a> {
    site: &'a Site,
    kind: Kind,
    name: String,
    outer: Api,
    inner: Api,
    directory: PathBuf,
}

impl<'a> Container<'a> {
    /// Creates the container with every privilege; it does not run yet.
    pub(crate) fn create(site: &'a Site, label: &str, kind: Kind, data_root: DataRoot) -> Result<Self> {
        Self::with(site, label, kind, data_root, &["--privileged"])
    }

    /// The same with flags of `docker create` of the caller's choice.
    pub(crate) fn with(
        site: &'a Site,
        label: &str,
        kind: Kind,
        data_root: DataRoot,
        flags: &[&str],
    ) -> Result<Self> {
        let name = format!("dind-bench-{label}");
        let directory = site.directory.join(label);
        fs::create_dir_all(&directory)?;
        let pipe = directory.join("begun");
        if !pipe.exists() {
            nix::unistd::mkfifo(&pipe, Mode::S_IRUSR | Mode::S_IWUSR)?;
        }
        // For whoever root of the container is outside.
        for (path, mode) in [(&directory, 0o777), (&pipe, 0o666)] {
            fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        }
        let inner = Api::at(&directory.join("docker.sock"));
        let outer = Api::of(&site.host)?;
        let container = Self { site, kind, name, outer, inner, directory };
        container.remove();
        container.docker_create(data_root, flags)?;
        Ok(container)
    }

    fn docker_create(&self, data_root: DataRoot, flags: &[&str]) -> Result<()> {
        let share = format!("{}:/bench", self.directory.display());
        let preload = format!("{}:/preload:ro", self.site.preload.display());
        let variable = format!("DIND_DATA_ROOT={}", data_root.path());
        let host = "unix:///bench/docker.sock";
        let listen = format!("DOCKER_DAEMON_ARGS=--host {host}");
        // Beside the sockets, where the client finds its files.
        let certificates = self.directory.join("certs");
        if certificates.exists() {
            fs::remove_dir_all(&certificates)?;
        }
        let mut words = vec!["create", "--no-healthcheck", "--name", &self.name];
        words.extend(flags);
        words.extend(["--volume", &share, "--volume", &preload, "--env", &variable, "--env", &listen]);
        if self.kind == Kind::NodeWithTls {
            words.extend(["--env", "DOCKER_TLS_CERTDIR=/bench/certs"]);
        }
        words.extend(["--entrypoint", "sh", &self.site.image]);
        words.extend(BEGIN);
        match self.kind {
            Kind::Bare => words.extend(["dockerd", "--host", host, "--data-root", data_root.path()]),
            Kind::Steps => words.extend(["sh", "-ec", STEPS, "sh", host, data_root.path()]),
            Kind::Node | Kind::NodeWithTls => words.extend(["dind-launch", "run", "--", "sleep", "infinity"]),
        }
        self.site.ask(&words).map(drop)
    }

    /// Starts it; gives the time from the start of PID 1 until the inner engine answers.
    pub(crate) fn start(&self) -> Result<Duration> {
        let _ = fs::remove_file(self.directory.join("docker.sock"));
        // Opened first, and for reading without waiting: so the writer does not wait either.
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let begun = nix::fcntl::open(&self.directory.join("begun"), flags, Mode::empty())?;
        std::thread::scope(|scope| {
            let (outer, name) = (&self.outer, &self.name);
            let start = scope.spawn(|| outer.container(name, "start").map_err(|error| error.to_string()));
            let mut fds = [PollFd::new(begun.as_fd(), PollFlags::POLLIN)];
            let ready = poll(&mut fds, PollTimeout::from(BEGIN_LIMIT))?;
            let begun = Instant::now();
            if ready == 0 {
                return Err(format!("`{}` does not start", self.name).into());
            }
            self.inner.until_ping()?;
            let took = begun.elapsed();
            start.join().map_err(|_| "the call that starts a container has panicked")??;
            Ok(took)
        })
    }

    /// `docker version` by the real client: over TCP with certificates on both sides where the node has them, over the socket
    /// otherwise. Gives its time.
    pub(crate) fn version(&self) -> Result<Duration> {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.site.pid, "--net", "docker"]);
        if self.kind == Kind::NodeWithTls {
            let address = self.inspect("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")?;
            let client = self.directory.join("certs/client");
            command
                .env("DOCKER_CERT_PATH", client)
                .arg("--tlsverify")
                .arg(format!("--host=tcp://{address}:2376"));
        } else {
            command.arg(format!("--host=unix://{}", self.directory.join("docker.sock").display()));
        }
        timed(command.arg("version"))
    }

    /// `docker stop`; gives its time. A node that had to be killed is an error; with bare dockerd it happens.
    pub(crate) fn stop(&self) -> Result<Duration> {
        let asked = Instant::now();
        self.outer.container(&self.name, "stop?t=10")?;
        let took = asked.elapsed();
        if self.kind == Kind::Node && self.inspect("{{.State.ExitCode}}")? == "137" {
            return Err(format!("`{}` did not stop within 10 s", self.name).into());
        }
        Ok(took)
    }

    /// `docker kill`, and waits for the end.
    pub(crate) fn kill(&self) -> Result<()> {
        self.outer.container(&self.name, "kill")?;
        self.outer.container(&self.name, "wait")
    }

    /// Gives the inner engine containers that come back each time it starts.
    pub(crate) fn fill(&self, count: usize) -> Result<()> {
        let docker = "docker --host unix:///bench/docker.sock";
        let run = format!(
            "{docker} run --detach --restart always --volume /bench:/bench {} sh -c \"{INNER}\"",
            image::INNER
        );
        let script = format!(
            "{docker} load --quiet --input /preload/inner.tar && for i in $(seq {count}); do {run}; done"
        );
        self.exec(&["sh", "-ec", &script])?;
        self.until_running(count)
    }

    /// Waits until this many inner containers run.
    pub(crate) fn until_running(&self, count: usize) -> Result<()> {
        let (limit, pause) = COME_BACK;
        let deadline = Instant::now() + limit;
        loop {
            let running: Value = serde_json::from_str(&self.inner.call("GET", "/containers/json")?)?;
            if running.as_array().map(Vec::len) == Some(count) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("of {count} inner containers in `{}` not all run", self.name).into());
            }
            sleep(pause);
        }
    }

    /// How many inner containers have come to their own end since [`Container::forget_ends`].
    pub(crate) fn ends(&self) -> Result<usize> {
        Ok(fs::read_to_string(self.directory.join("ends"))?.lines().count())
    }

    /// Begins to count them anew.
    pub(crate) fn forget_ends(&self) -> Result<()> {
        Ok(fs::write(self.directory.join("ends"), "")?)
    }

    /// What a command in the container prints.
    pub(crate) fn exec(&self, args: &[&str]) -> Result<String> {
        self.site.ask(&[&["exec", &self.name], args].concat())
    }

    /// The launcher's record of a node that has ended.
    pub(crate) fn last_record(&self) -> Result<String> {
        let copy = self.directory.join("record");
        let path = copy.display().to_string();
        self.site.ask(&["cp", &format!("{}:/run/dind/launch.json", self.name), &path])?;
        Ok(fs::read_to_string(copy)?)
    }

    /// What it has logged, on stdout and on stderr, each line with the outer engine's time before it.
    pub(crate) fn log(&self) -> Result<[String; 2]> {
        let mut command = Command::new("docker");
        command.env("DOCKER_HOST", &self.site.host).args(["logs", "--timestamps", &self.name]);
        let output = command.output()?;
        Ok([output.stdout, output.stderr].map(|part| String::from_utf8_lossy(&part).into_owned()))
    }

    /// The version of the inner engine.
    pub(crate) fn engine_version(&self) -> Result<String> {
        let version: Value = serde_json::from_str(&self.inner.call("GET", "/version")?)?;
        Ok(version["Version"].as_str().ok_or("the engine has no version")?.to_owned())
    }

    /// How many images the inner engine lists.
    pub(crate) fn images(&self) -> Result<usize> {
        let images: Value = serde_json::from_str(&self.inner.call("GET", "/images/json")?)?;
        Ok(images.as_array().ok_or("the engine lists no images")?.len())
    }

    /// What its volume takes up on disk, in bytes: without what is mounted in it.
    pub(crate) fn own_bytes(&self) -> Result<u64> {
        let format = "{{range .Mounts}}{{if eq .Destination \"/var/lib/docker\"}}{{.Source}}{{end}}{{end}}";
        let volume = format!("/proc/{}/root{}", self.site.pid, self.inspect(format)?);
        let output = Command::new("du").args(["--summarize", "--block-size=1", &volume]).output()?;
        let shown = String::from_utf8(output.stdout)?;
        Ok(shown.split_whitespace().next().ok_or_else(|| format!("du shows nothing of {volume}"))?.parse()?)
    }

    fn inspect(&self, format: &str) -> Result<String> {
        self.site.ask(&["inspect", "--format", format, &self.name])
    }

    fn remove(&self) {
        // One that is not there is as good.
        let _ = self.site.ask(&["rm", "--force", "--volumes", &self.name]);
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        self.remove();
    }
}
