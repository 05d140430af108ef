//! A containerd of the test's own: with network, mount and process namespaces of its own, so that it ends with the test and leaves
//! nothing behind; pods get addresses of a bridge of CNI's; and the images under test.

use crate::names::{NAME_SERVER, NameServer};
use dind_tests::cell::MTU;
use dind_tests::outer::{Ended, docker, inner_image, run, setting, version_of};
use dind_tests::{eventually, scratch_on_disk, unique};
use serde_json::json;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tempfile::TempDir;

/// Where the containers of pods are.
pub(crate) const NAMESPACE: &str = "k8s.io";

/// The first two numbers of pods' addresses; those that CNI gives away have 0 as the third, and inner ranges what they like.
pub(crate) const PODS: &str = "10.244";

/// Where it listens, for who enters its mount namespace.
pub(crate) const SOCKET: &str = "/run/containerd/containerd.sock";

/// The name of the runtime, which says what it is to do.
const RUNTIME: &str = "dind-runtime";

/// PID 1 of the namespaces: what a machine has done before containerd starts, and a reaper until the test has ended. Its number
/// outside is what the old /proc shows.
const INIT: &str = r#"
set -e
exec 3<&0
read -r pid rest </proc/self/stat
mount -t proc proc /proc
mount --make-rshared /
mount -t tmpfs -o mode=755 tmpfs /run
# Where containerd's own client looks for networks.
mkdir /run/etc /run/work
mount -t overlay -o lowerdir=/etc,upperdir=/run/etc,workdir=/run/work overlay /etc
rm -rf /etc/cni
mkdir /etc/cni
ln -s "$1/cni" /etc/cni/net.d
mount -t tmpfs tmpfs /opt
mkdir /opt/cni
ln -s /usr/lib/cni /opt/cni/bin
ip link set lo up
ip address add "$2/32" dev lo
echo 1 >/proc/sys/net/ipv4/ip_forward
containerd --config "$1/config.toml" >"$1/log" 2>&1 3<&- &
containerd=$!
{ read -r word <&3 || :; kill -KILL $containerd; } &
echo "$pid"
exec 2>/dev/null
wait $containerd
"#;

/// A running containerd; it and whatever runs on it end with its handle, or with the test's process.
#[derive(Debug)]
pub(crate) struct Containerd {
    init: Child,
    /// Its end is the end of it all.
    line: Option<ChildStdin>,
    /// Our number of its namespaces' first process.
    pid: String,
    directory: TempDir,
    /// Of the image for the containers that hold pods' namespaces.
    pause: String,
    /// Answers the questions of pods.
    names: Option<NameServer>,
}

impl Containerd {
    /// The one of this process. It starts with the first test that needs one, and ends with the last of those that run at the time.
    pub(crate) fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Containerd>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let new = Arc::new(Self::start());
            *shared = Arc::downgrade(&new);
            new
        })
    }

    fn start() -> Self {
        let directory = scratch_on_disk();
        let pause = format!("{}:pause", unique("image"));
        configure(directory.path(), &pause);
        let mut init = Command::new("unshare")
            .args(["--net", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", INIT, "sh"])
            .arg(directory.path())
            .arg(NAME_SERVER)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare is installed");
        let mut pid = String::new();
        BufReader::new(init.stdout.take().unwrap()).read_line(&mut pid).unwrap();
        let line = init.stdin.take();
        let mut new = Self { init, line, pid: pid.trim().to_owned(), directory, pause, names: None };
        eventually("containerd answers", Duration::from_secs(30), || {
            assert!(new.init.try_wait().unwrap().is_none(), "containerd has ended: {}", new.log());
            (new.ctr(&["version"]).status == 0).then_some(())
        });
        new.names = Some(NameServer::start(&new.network()));
        new.import();
        new
    }

    /// The image under test, that of inner containers, and one for the containers that hold pods' namespaces.
    fn import(&self) {
        let container = unique("pause");
        docker(&["create", "--name", &container, &inner_image()]).ok();
        let commit = ["commit", "--change", r#"CMD ["sleep", "infinity"]"#, &container, &self.pause];
        docker(&commit).ok();
        docker(&["rm", &container]).ok();
        let archive = self.directory.path().join("pause.tar");
        let archive = archive.to_str().unwrap();
        let saved = docker(&["save", "--output", archive, &self.pause]);
        docker(&["rmi", &self.pause]).ok();
        saved.ok();
        for archive in [archive, &setting("DIND_TEST_IMAGE_ARCHIVE")] {
            self.ctr(&["--namespace", NAMESPACE, "images", "import", archive]).ok();
        }
    }

    /// `containerd 1.6.20, runc 1.1.5`
    pub(crate) fn versions() -> String {
        let text = run("containerd", &["--version"]).ok();
        let version = text.split_whitespace().nth(2).unwrap_or_default();
        let version = version.split(['~', '+']).next().unwrap_or(version).trim_start_matches('v');
        format!("containerd {version}, {}", version_of("runc"))
    }

    /// containerd's own client.
    pub(crate) fn ctr(&self, args: &[&str]) -> Ended {
        self.enter(&[&["ctr", "--address", SOCKET], args].concat())
    }

    /// Runs a command where containerd is.
    pub(crate) fn enter(&self, args: &[&str]) -> Ended {
        self.command(args).output().expect("nsenter is installed").into()
    }

    /// A command that will run where containerd is.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.pid, "--mount", "--net", "--pid", "--"]).args(args);
        command
    }

    /// The path of a file where containerd is, for us.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        format!("/proc/{}/root{inside}", self.pid).into()
    }

    /// The path of its socket, for us.
    pub(crate) fn socket(&self) -> PathBuf {
        self.path(SOCKET)
    }

    /// The directory in /proc of a process, by containerd's number of it.
    pub(crate) fn process(&self, pid: &str) -> PathBuf {
        self.path(&format!("/proc/{pid}"))
    }

    /// The file of its network namespace.
    pub(crate) fn network(&self) -> PathBuf {
        format!("/proc/{}/ns/net", self.pid).into()
    }

    /// A directory of this machine's that only this test uses.
    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::create_dir_all(&path).unwrap();
        path
    }

    /// What it runs in the place of runc.
    pub(crate) fn runtime(&self) -> PathBuf {
        self.directory.path().join(RUNTIME)
    }

    /// What containerd has printed.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        // Before its namespace, which its socket would keep.
        self.names = None;
        self.line = None;
        let _ = self.init.wait();
    }
}

/// The settings of containerd, and the network of its pods.
fn configure(directory: &Path, pause: &str) {
    let shown = directory.display();
    let runtime = copy_runtime(directory);
    let config = format!(
        r#"version = 2
root = "{shown}/root"
state = "/run/containerd"
[grpc]
  address = "{SOCKET}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{shown}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/library/{pause}"
  # For machines whose root has no CAP_SYS_RESOURCE.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{shown}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = "{}"
"#,
        runtime.display()
    );
    fs::write(directory.join("config.toml"), config).unwrap();
    let range = json!({
        "subnet": format!("{PODS}.0.0/16"),
        "rangeStart": format!("{PODS}.0.2"),
        "rangeEnd": format!("{PODS}.0.254"),
    });
    let pods = json!({
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": true,
                "ipMasq": true,
                // As flannel has it; Docker's and podman's networks do not.
                "hairpinMode": true,
                "mtu": MTU.parse::<u32>().unwrap(),
                "ipam": {
                    "type": "host-local",
                    "dataDir": "/run/cni",
                    "ranges": [[range]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    });
    fs::create_dir(directory.join("cni")).unwrap();
    fs::write(directory.join("cni/10-pods.conflist"), pods.to_string()).unwrap();
}

/// What containerd runs in the place of runc: xtask's, which takes away the capabilities that root of this machine does not have, or in a
/// guest, whose root has all of them, runc itself.
fn copy_runtime(directory: &Path) -> PathBuf {
    let runtime = directory.join(RUNTIME);
    // Another program copies it: a file that is open for writing cannot be executed.
    let copied = Command::new("cp").arg(setting("DIND_TEST_RUNTIME")).arg(&runtime).status().unwrap();
    assert!(copied.success());
    runtime
}
