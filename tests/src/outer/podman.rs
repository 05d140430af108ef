//! podman, by root, with storage and networks of a test program's own.

use super::{Ended, Outer, engine_pid, on_host, run, setting};
use crate::{PREFIX, unique};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use tempfile::TempDir;

/// Without a journal, without groups of systemd, and without the older plugins for networks, which podman takes where their
/// configuration is (containers.conf(5)).
const SETTINGS: &str = "[containers]\nlog_driver = \"k8s-file\"\n[engine]\nevents_logger = \"file\"\n\
    cgroup_manager = \"cgroupfs\"\n[network]\nnetwork_backend = \"netavark\"\n";

/// podman's places, which the nodes of a test program share: two of them would give their bridges the same name.
#[derive(Debug)]
struct Places {
    directory: TempDir,
    /// Of the group above those of its containers, and of its directory in /run.
    name: String,
}

/// podman with a runtime. What it has made is gone with the last handle of its test program.
#[derive(Debug)]
pub struct Podman {
    places: Arc<Places>,
    runtime: &'static str,
}

impl Podman {
    /// With this runtime: `runc`, `crun`.
    ///
    /// # Panics
    /// Its directory cannot be made.
    #[must_use]
    pub fn with(runtime: &'static str) -> Arc<Self> {
        Arc::new(Self { places: Places::shared(), runtime })
    }

    /// `podman 4.3.1, crun 1.8.1`
    ///
    /// # Panics
    /// One of them does not say its version.
    #[must_use]
    pub fn versions(&self) -> String {
        let podman = self.client(&["version", "--format", "{{.Client.Version}}"]).ok();
        format!("podman {podman}, {}", version_of(self.runtime))
    }

    /// A directory with a program `podman`, for commands as people write them.
    ///
    /// # Panics
    /// It cannot be made.
    #[must_use]
    pub fn bin(&self) -> PathBuf {
        let directory = self.directory().join("bin");
        let words = shell_words::join(self.places.words(self.runtime));
        // As `client` does.
        let script = format!(
            "#!/bin/sh\nif [ \"$1\" = run ]; then shift; set -- run --cgroup-parent /{} \"$@\"; fi\nexec {words} \"$@\"\n",
            self.places.name
        );
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("podman"), script).unwrap();
        fs::set_permissions(directory.join("podman"), fs::Permissions::from_mode(0o755)).unwrap();
        directory
    }

    /// Where it keeps what the nodes make.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.places.directory.path()
    }

    /// The directories of the group above those of its containers, one in each hierarchy.
    #[must_use]
    pub fn groups(&self) -> Vec<PathBuf> {
        let hierarchies =
            fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten().map(|entry| entry.path());
        let roots = hierarchies.chain(["/sys/fs/cgroup".into()]);
        roots.map(|root| root.join(&self.places.name)).filter(|path| path.is_dir()).collect()
    }
}

/// `runc 1.1.5` of a runtime's first line, `runc version 1.1.5+ds1`.
///
/// # Panics
/// It cannot be run.
#[must_use]
pub fn version_of(runtime: &str) -> String {
    let text = run(runtime, &["--version"]).ok();
    let version = text.lines().next().and_then(|line| line.split_whitespace().nth(2)).unwrap_or_default();
    format!("{runtime} {}", version.split('+').next().unwrap_or(version))
}

impl Outer for Podman {
    fn client(&self, args: &[&str]) -> Ended {
        let parent = format!("/{}", self.places.name);
        match args {
            [verb @ ("run" | "create"), rest @ ..] => {
                self.places.podman(self.runtime, &[&[*verb, "--cgroup-parent", &parent], rest].concat())
            }
            // Without it, it would wait for ten seconds as `stop` does.
            ["rm", "--force", rest @ ..] => {
                self.places.podman(self.runtime, &[&["rm", "--force", "--time", "0"], rest].concat())
            }
            _ => self.places.podman(self.runtime, args),
        }
    }

    fn network_options(&self, mtu: Option<&str>) -> Vec<String> {
        mtu.map(|mtu| vec!["--opt".to_owned(), format!("mtu={mtu}")]).unwrap_or_default()
    }

    fn image(&self, name: &str) -> String {
        format!("localhost/{name}")
    }
}

impl Places {
    fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Places>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let places = Arc::new(Self::new());
            *shared = Arc::downgrade(&places);
            places
        })
    }

    /// Beside the store with the images, which is on a disk.
    fn new() -> Self {
        let _one = one_at_a_time();
        let store = PathBuf::from(setting("DIND_TEST_PODMAN_STORE")).canonicalize().unwrap();
        let prefix = format!("{PREFIX}{}-", std::process::id());
        let directory = tempfile::Builder::new().prefix(&prefix).tempdir_in(store.parent().unwrap()).unwrap();
        fs::write(directory.path().join("containers.conf"), SETTINGS).unwrap();
        let _ = others();
        let places = Self { directory, name: unique("podman") };
        places.pass_docker("--insert");
        places
    }

    /// What podman's bridges forward gets past Docker's policy of drop, or no longer does. netavark has done so itself while it wrote
    /// its rules with iptables; from version 1.11 on it has a table of its own, which cannot accept what another one drops.
    fn pass_docker(&self, how: &str) {
        for direction in ["--in-interface", "--out-interface"] {
            let rule = ["iptables", "--wait", how, "DOCKER-USER", direction, "podman+"];
            let known = ["--match", "comment", "--comment", &self.name, "--jump", "ACCEPT"];
            // Where Docker filters nothing, the chain does not exist.
            let _ = on_host(&[&rule[..], &known].concat());
        }
    }

    /// podman where the engine's bridges, mounts and processes are: there, nobody else's podman is.
    fn words(&self, runtime: &str) -> Vec<String> {
        let at = |name: &str| self.directory.path().join(name).display().to_string();
        let crun = setting("DIND_TEST_CRUN");
        // podman takes paths of 50 characters for what runs.
        let run = format!("/run/{}", self.name);
        let words = ["nsenter", "--target", &engine_pid(), "--mount", "--net", "--pid", "--", "env"]
            .map(str::to_owned);
        let mut words = words.to_vec();
        words.extend([format!("CONTAINERS_CONF={}", at("containers.conf")), "/usr/bin/podman".to_owned()]);
        let options = [
            ("--root", at("root")),
            ("--runroot", run.clone()),
            ("--tmpdir", format!("{run}/tmp")),
            ("--network-config-dir", at("networks")),
            ("--storage-driver", "overlay".to_owned()),
            ("--storage-opt", format!("overlay.imagestore={}", setting("DIND_TEST_PODMAN_STORE"))),
            ("--runtime", if runtime == "crun" { crun } else { runtime.to_owned() }),
        ];
        words.extend(options.into_iter().flat_map(|(name, value)| [name.to_owned(), value]));
        words
    }

    fn podman(&self, runtime: &str, args: &[&str]) -> Ended {
        let words = self.words(runtime);
        let words: Vec<_> = words.iter().map(String::as_str).chain(args.iter().copied()).collect();
        run(words[0], &words[1..])
    }
}

/// Whether another podman has been here before this program's first one.
fn others() -> bool {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    let ask = || {
        run("nsenter", &["--target", &engine_pid(), "--mount", "--", "mountpoint", "--quiet", "/run/netns"])
    };
    *KNOWN.get_or_init(|| ask().status == 0)
}

/// The next one begins where the last one has removed what it had.
fn one_at_a_time() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Places {
    fn drop(&mut self) {
        let _one = one_at_a_time();
        let _ = self.podman("runc", &["rm", "--all", "--force", "--time", "0", "--volumes"]);
        let _ = self.podman("runc", &["network", "prune", "--force"]);
        self.pass_docker("--delete");
        // What every podman leaves is somebody else's where another one was before: a mount, and a group to see what it may do.
        let remove = "umount \"$1/root/overlay\"; rm --recursive \"/run/$2\"
            [ \"$3\" = true ] || { umount /run/netns; rmdir /sys/fs/cgroup/podman_probe; }
            find /sys/fs/cgroup -depth -path \"*/$2*\" -type d -exec rmdir {} +";
        let engine = ["--target", &engine_pid(), "--mount", "--", "sh", "-c", remove, "remove"];
        let (directory, known) = (self.directory.path().display().to_string(), others().to_string());
        let _ = run("nsenter", &[&engine[..], &[&directory, &self.name, &known]].concat());
    }
}
