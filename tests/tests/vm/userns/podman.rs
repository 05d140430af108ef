//! podman maps users as well, and gives each container a range of its own.

use dind_tests::cell::SLOW;
use dind_tests::outer::{Ended, LIMIT, image, inner_image, setting};
use dind_tests::reduced::RunFlags;
use dind_tests::{eventually, unique};
use serde_json::Value;
use std::fs;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where the guest's images are for podman, beside those of Docker.
const STORE: [&str; 4] = ["--root", "/var/lib/docker/podman", "--storage-driver", "overlay"];

/// Without a journal, without nftables, and without the older plugins for networks, which podman takes where their configuration is.
const SETTINGS: &str = "[containers]\nlog_driver = \"k8s-file\"\n[engine]\nevents_logger = \"file\"\n\
    cgroup_manager = \"systemd\"\n[network]\nnetwork_backend = \"netavark\"\n\
    firewall_driver = \"iptables\"\n";

/// podman as this guest has it, for more arguments.
pub(super) fn client() -> Command {
    fs::write("/run/podman.conf", SETTINGS).unwrap();
    let mut podman = Command::new("podman");
    podman.env("CONTAINERS_CONF", "/run/podman.conf").args(STORE);
    podman
}

fn podman(args: &[&str]) -> Ended {
    client().args(args).output().unwrap().into()
}

/// What one test takes away when a node of it goes, all of podman's nodes need.
pub(super) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `podman 4.3.1, crun 1.8.1`.
pub(super) fn versions() -> String {
    let crun = Command::new("crun").arg("--version").output().unwrap();
    let crun = String::from_utf8(crun.stdout).unwrap();
    let crun = crun.lines().next().unwrap().replace("version ", "");
    format!("podman {}, {crun}", podman(&["version", "--format", "{{.Client.Version}}"]).ok())
}

/// The flags of `doctor --run-flags --for podman`, whose first set is the one for this machine.
pub(super) fn flags(run_flags: &RunFlags) -> Vec<String> {
    let document: Value = serde_json::from_slice(&run_flags.doctor(&["--for", "podman"]).stdout).unwrap();
    let set = &document["result"]["run_flags"][0];
    assert_eq!((set["name"].as_str(), set["works"].as_bool()), (Some("userns"), Some(true)), "{set}");
    set["flags"].as_array().unwrap().iter().map(|flag| flag.as_str().unwrap().to_owned()).collect()
}

/// A node of podman's; removed when it goes, with what podman has made for it.
pub(super) struct Node(pub(super) String);

impl Node {
    pub(super) fn start(flags: &[&str]) -> Self {
        let node = Self(unique("podman"));
        let preload = format!("{}:/preload:ro", setting("DIND_TEST_PRELOAD"));
        let own =
            ["run", "--detach", "--name", &node.0, "--volume", &preload, "--env", "DIND_PRELOAD=/preload"];
        let image = format!("localhost/{}", image());
        podman(&[&own[..], &SLOW, flags, &[&image, "sleep", "infinity"]].concat()).ok();
        node
    }

    fn log(&self) -> String {
        let log = podman(&["logs", &self.0]);
        format!("{}\n{}", log.stdout, log.stderr)
    }

    pub(super) fn until_running(&self) {
        eventually("the node of podman's runs", LIMIT, || {
            let alive = self.state("{{.State.Status}}") == "running";
            assert!(alive, "{}", self.log());
            let status = podman(&["exec", &self.0, "dind-launch", "status"]).stdout;
            status.contains("\"state\":\"running\"").then_some(())
        });
    }

    fn exit_status(&self) -> String {
        eventually("podman's node has ended", LIMIT, || {
            let state = self.state("{{.State.Status}} {{.State.ExitCode}}");
            state.strip_prefix("exited ").map(str::to_owned)
        })
    }

    pub(super) fn state(&self, format: &str) -> String {
        podman(&["inspect", "--format", format, &self.0]).ok()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = podman(&["rm", "--force", "--volumes", "--time", "0", &self.0]);
        let made = "umount /var/lib/docker/podman/overlay /var/lib/containers/storage/overlay
            umount /run/netns
            ip link del podman0
            systemctl stop machine.slice";
        let _ = Command::new("sh").args(["-c", made]).output();
    }
}

/// One in a range of users of its own that limits an inner container, and stops in order.
fn makes_a_node(flags: &[&str]) {
    let node = Node::start(flags);
    node.until_running();
    let map = fs::read_to_string(format!("/proc/{}/uid_map", node.state("{{.State.Pid}}"))).unwrap();
    assert!(map.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >= 2_147_483_647, "{map}");
    let limited = ["exec", &node.0, "docker", "run", "--rm", "--memory", "64m", &inner_image()];
    let read = podman(&[&limited[..], &["cat", "/sys/fs/cgroup/memory.max"]].concat());
    assert_eq!(read.stdout, (64 << 20).to_string(), "{read:?} {}", node.log());
    podman(&["stop", "--time", "60", &node.0]).ok();
    assert_eq!(node.state("{{.State.ExitCode}}"), "143", "{}", node.log());
}

/// The flags of `doctor --run-flags --for podman` make a node; with another runtime or `--privileged` beside them, it is refused.
#[test]
fn podman_runs_a_node_in_a_user_namespace_and_a_privileged_one_is_refused() {
    let alone = alone();
    let run_flags = RunFlags::ask();
    let flags = flags(&run_flags);
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();

    makes_a_node(&flags);

    // runc leaves the group to the machine, as with Docker's other driver, and the hint names the runtime that does not.
    let other: Vec<_> = flags.iter().map(|flag| if *flag == "crun" { "runc" } else { flag }).collect();
    let blocked = Node::start(&other);
    assert_eq!(blocked.exit_status(), "125", "{}", blocked.log());
    assert!(blocked.log().contains("with podman, --runtime crun"), "{}", blocked.log());
    drop(blocked);
    // Where podman mounts the groups writable, it does what it does for Docker.
    makes_a_node(&[&other[..], &["--security-opt", "unmask=/sys/fs/cgroup"]].concat());

    let refused = Node::start(&["--userns", "auto", "--privileged"]);
    assert_eq!(refused.exit_status(), "125", "{}", refused.log());
    let log = refused.log();
    assert!(
        log.contains("the user namespace is no boundary: /dev/") && log.contains("DIND_ALLOW_HOST_DEVICES"),
        "{log}"
    );
    drop(refused);
    drop(alone);
}
