//! podman maps users as well, and gives each container a range of its own.

use dind_tests::cell::SLOW;
use dind_tests::outer::{Ended, LIMIT, image, inner_image, setting};
use dind_tests::reduced::RunFlags;
use dind_tests::{eventually, unique};
use serde_json::Value;
use std::fs;
use std::process::Command;

/// Where the guest's images are for podman, beside those of Docker.
const STORE: [&str; 4] = ["--root", "/var/lib/docker/podman", "--storage-driver", "overlay"];

/// Without a journal, and without the older plugins for networks, which podman takes where their configuration is.
const SETTINGS: &str = "[containers]\nlog_driver = \"k8s-file\"\n[engine]\nevents_logger = \"file\"\n\
    cgroup_manager = \"systemd\"\n[network]\nnetwork_backend = \"netavark\"\n";

fn podman(args: &[&str]) -> Ended {
    let mut podman = Command::new("podman");
    podman.env("CONTAINERS_CONF", "/run/podman.conf").args(STORE).args(args).output().unwrap().into()
}

/// A node of podman's; removed when it goes, with what podman has made for it.
struct Node(String);

impl Node {
    fn start(flags: &[&str]) -> Self {
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

    fn exit_status(&self) -> String {
        eventually("podman's node has ended", LIMIT, || {
            let state = self.state("{{.State.Status}} {{.State.ExitCode}}");
            state.strip_prefix("exited ").map(str::to_owned)
        })
    }

    fn state(&self, format: &str) -> String {
        podman(&["inspect", "--format", format, &self.0]).ok()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = podman(&["rm", "--force", "--volumes", "--time", "0", &self.0]);
        let made = "umount /var/lib/docker/podman/overlay /var/lib/containers/storage/overlay
            ip link del podman0
            systemctl stop machine.slice";
        let _ = Command::new("sh").args(["-c", made]).output();
    }
}

/// The flags of `doctor --run-flags --for podman` make a node; with another runtime or `--privileged` beside them, it is refused.
#[test]
fn podman_runs_a_node_in_a_user_namespace_and_a_privileged_one_is_refused() {
    fs::write("/run/podman.conf", SETTINGS).unwrap();
    let run_flags = RunFlags::ask();
    let document: Value = serde_json::from_slice(&run_flags.doctor(&["--for", "podman"]).stdout).unwrap();
    let set = &document["result"]["run_flags"][0];
    assert_eq!((set["name"].as_str(), set["works"].as_bool()), (Some("userns"), Some(true)), "{set}");
    let flags: Vec<_> = set["flags"].as_array().unwrap().iter().map(|flag| flag.as_str().unwrap()).collect();

    let node = Node::start(&flags);
    eventually("the node of podman's runs", LIMIT, || {
        let alive = node.state("{{.State.Status}}") == "running";
        assert!(alive, "{}", node.log());
        podman(&["exec", &node.0, "dind-launch", "status"])
            .stdout
            .contains("\"state\":\"running\"")
            .then_some(())
    });
    let map = fs::read_to_string(format!("/proc/{}/uid_map", node.state("{{.State.Pid}}"))).unwrap();
    assert!(map.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >= 2_147_483_647, "{map}");
    let limited = ["exec", &node.0, "docker", "run", "--rm", "--memory", "64m", &inner_image()];
    let read = podman(&[&limited[..], &["cat", "/sys/fs/cgroup/memory.max"]].concat());
    assert_eq!(read.stdout, (64 << 20).to_string(), "{read:?} {}", node.log());
    podman(&["stop", "--time", "60", &node.0]).ok();
    assert_eq!(node.state("{{.State.ExitCode}}"), "143", "{}", node.log());
    drop(node);

    // runc leaves the group to the machine, as with Docker's other driver, and the hint names the runtime that does not.
    let other: Vec<_> = flags.iter().map(|flag| if *flag == "crun" { "runc" } else { flag }).collect();
    let blocked = Node::start(&other);
    assert_eq!(blocked.exit_status(), "125", "{}", blocked.log());
    assert!(blocked.log().contains("with podman, --runtime crun"), "{}", blocked.log());
    drop(blocked);

    let refused = Node::start(&["--userns", "auto", "--privileged"]);
    assert_eq!(refused.exit_status(), "125", "{}", refused.log());
    let log = refused.log();
    assert!(
        log.contains("the user namespace is no boundary: /dev/") && log.contains("DIND_ALLOW_HOST_DEVICES"),
        "{log}"
    );
}
