//! A pod as a kubelet makes it, by its manifest: a sandbox, directories for its volumes, a control group around its containers, their
//! probes and hooks, new attempts, and the order of the end. The kubelet itself is not there.

use crate::cell::Node;
use crate::client::Cri;
use crate::daemon::Containerd;
use crate::sandbox::{self, cgroup_directories};
use crate::set::NODE;
use crate::translate::{self, only};
use dind_tests::manifest::{is_sidecar, items, text, words};
use dind_tests::outer::{Ended, LIMIT};
use dind_tests::{eventually, unique};
use k8s_cri::v1::{ContainerState, Mount, PodSandboxConfig};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// What a kubelet gives the pod where it does not say (`terminationGracePeriodSeconds`).
const GRACE: u64 = 30;

/// What a pod's manifest may have here.
const SPEC: [&str; 6] = [
    "initContainers",
    "containers",
    "volumes",
    "restartPolicy",
    "enableServiceLinks",
    "terminationGracePeriodSeconds",
];

/// A pod; gone with its handle.
#[derive(Debug)]
pub(crate) struct Pod {
    containerd: Arc<Containerd>,
    cri: Cri,
    spec: Value,
    config: PodSandboxConfig,
    sandbox: String,
    /// The pod's own on the machine: volumes and logs.
    directory: PathBuf,
    /// The attempts to run each container, the newest last.
    attempts: Mutex<BTreeMap<String, Vec<String>>>,
}

impl Pod {
    /// The sandbox and the volumes. A seccomp profile is at hand under the name that the manifest has for it.
    pub(crate) fn new(spec: &Value, profile: &Value) -> Self {
        only(spec, &SPEC);
        let containerd = Containerd::shared();
        let cri = Cri::connect(&containerd.socket());
        let name = unique("pod");
        let directory = containerd.scratch(&name);
        fs::create_dir(directory.join("logs")).unwrap();
        fs::write(directory.join("seccomp.json"), profile.to_string()).unwrap();
        fs::write(directory.join("hosts"), "127.0.0.1\tlocalhost\n").unwrap();
        fs::write(directory.join("termination-log"), "").unwrap();
        for volume in items(&spec["volumes"]).filter(|volume| volume["emptyDir"].is_object()) {
            let path = directory.join(text(&volume["name"]));
            fs::create_dir(&path).unwrap();
            // Everybody may write to an `emptyDir`.
            fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
        }
        cgroup_directories(&name).for_each(|group| fs::create_dir(group).unwrap());
        let config = sandbox::config(&name, spec, &directory);
        let sandbox = cri.run_sandbox(&config);
        Self { containerd, cri, spec: spec.clone(), config, sandbox, directory, attempts: Mutex::default() }
    }

    /// Starts the init containers, each when the one before has ended or, if it is a sidecar, has started; then the others.
    pub(crate) fn start(&self) {
        for init in items(&self.spec["initContainers"]) {
            let name = text(&init["name"]);
            self.run(&name);
            if is_sidecar(init) {
                let probe = words(&init["startupProbe"]["exec"]["command"]);
                assert!(!probe.is_empty(), "nothing says when the sidecar has started: {init}");
                eventually("the startup probe succeeds", LIMIT, || {
                    (self.exec_in(&name, &strs(&probe)).status == 0).then_some(())
                });
            } else {
                assert_eq!(self.ended(&name).0, 0, "{}", self.log_of(&name));
            }
        }
        items(&self.spec["containers"]).for_each(|container| self.run(&text(&container["name"])));
    }

    /// A new container in the sandbox: the first attempt, or the next one after an end.
    pub(crate) fn run(&self, name: &str) {
        let volume = |volume: &str| self.volume(volume);
        let number = self.attempts.lock().unwrap().get(name).map_or(0, Vec::len) as u32;
        let mut config = translate::container(self.container(name), number, volume, &self.directory);
        fs::create_dir_all(self.directory.join("logs").join(name)).unwrap();
        // What every container gets of a kubelet.
        for (path, file) in [("/etc/hosts", "hosts"), ("/dev/termination-log", "termination-log")] {
            let host_path = self.directory.join(file).display().to_string();
            config.mounts.push(Mount { container_path: path.to_owned(), host_path, ..Mount::default() });
        }
        let id = self.cri.create(&self.sandbox, config, &self.config);
        self.attempts.lock().unwrap().entry(name.to_owned()).or_default().push(id.clone());
        self.cri.start(&id);
    }

    fn container(&self, name: &str) -> &Value {
        let mut all = items(&self.spec["initContainers"]).chain(items(&self.spec["containers"]));
        all.find(|container| container["name"] == name).expect("there is such a container")
    }

    /// The directory of a volume on the machine.
    pub(crate) fn volume(&self, name: &str) -> PathBuf {
        let volume = items(&self.spec["volumes"]).find(|volume| volume["name"] == name).expect("a volume");
        match volume["hostPath"]["path"].as_str() {
            Some(path) => path.into(),
            None => self.directory.join(name),
        }
    }

    /// The newest attempt of a container.
    pub(crate) fn id(&self, name: &str) -> String {
        self.attempts.lock().unwrap()[name].last().unwrap().clone()
    }

    /// The pod's address.
    pub(crate) fn address(&self) -> String {
        self.cri.address(&self.sandbox)
    }

    /// The directory in /proc of a container's PID 1.
    fn process_of(&self, name: &str) -> PathBuf {
        let (_, pid) = self.cri.status(&self.id(name));
        let pid = pid.unwrap_or_else(|| panic!("the container has ended: {}", self.log_of(name)));
        self.containerd.process(&pid)
    }

    /// Runs a command in a container, as probes and hooks are.
    pub(crate) fn exec_in(&self, name: &str, command: &[&str]) -> Ended {
        self.cri.exec(&self.id(name), command)
    }

    /// A container's crash: KILL to its PID 1, as by the kernel that has no memory left.
    pub(crate) fn kill(&self, name: &str) {
        let (_, pid) = self.cri.status(&self.id(name));
        self.containerd.enter(&["kill", "-KILL", &pid.expect("it runs")]).ok();
        assert_eq!(self.ended(name).0, 137);
    }

    /// A stop signal to a container, and KILL when the pod's grace is over. Returns the exit status and the time it took.
    fn stop_in_time(&self, name: &str) -> (i32, Duration) {
        self.stop_within(name, self.grace())
    }

    fn stop_within(&self, name: &str, grace: Duration) -> (i32, Duration) {
        let asked = Instant::now();
        self.cri.stop(&self.id(name), grace.as_secs().max(2) as i64);
        (self.ended(name).0, asked.elapsed())
    }

    /// Waits for a container's end. Returns its exit status and what it has printed.
    pub(crate) fn ended(&self, name: &str) -> (i32, String) {
        let id = self.id(name);
        let status = eventually("the container has ended", LIMIT, || {
            let (status, _) = self.cri.status(&id);
            (status.state() == ContainerState::ContainerExited).then_some(status.exit_code)
        });
        (status, self.log_of(name))
    }

    /// What the newest attempt of a container has printed.
    pub(crate) fn log_of(&self, name: &str) -> String {
        self.attempt_log(name, self.attempts.lock().unwrap()[name].len() - 1)
    }

    fn attempt_log(&self, name: &str, number: usize) -> String {
        let path = self.directory.join(format!("logs/{name}/{number}.log"));
        let text = fs::read_to_string(path).unwrap_or_default();
        // Time, stream, whether the line is whole, and the line.
        let lines = text.lines().map(|line| line.splitn(4, ' ').nth(3).unwrap_or_default());
        lines.collect::<Vec<_>>().join("\n")
    }

    fn grace(&self) -> Duration {
        Duration::from_secs(self.spec["terminationGracePeriodSeconds"].as_u64().unwrap_or(GRACE))
    }

    /// The deletion of the pod. Every container gets its hook and, if it is none of the sidecars, its stop signal. Sidecars get theirs
    /// in reverse order, when the hook has ended and everything that started later has, too. Returns how the sidecars ended, and how
    /// long that took. Nothing of the pod may be left.
    pub(crate) fn delete(self) -> Vec<(i32, Duration)> {
        self.delete_and(|| ())
    }

    /// The same, with a look at its volumes once all containers have ended.
    pub(crate) fn delete_and(self, look: impl FnOnce()) -> Vec<(i32, Duration)> {
        let deadline = Instant::now() + self.grace();
        let left = || deadline.saturating_duration_since(Instant::now());
        let names = |list: &Value| items(list).map(|one| text(&one["name"])).collect::<Vec<_>>();
        let sidecars: Vec<_> = items(&self.spec["initContainers"]).filter(|init| is_sidecar(init)).collect();
        thread::scope(|scope| {
            let hooks = sidecars.iter().map(|sidecar| {
                scope.spawn(|| {
                    let hook = words(&sidecar["lifecycle"]["preStop"]["exec"]["command"]);
                    if !hook.is_empty() {
                        self.exec_in(&text(&sidecar["name"]), &strs(&hook)).ok();
                    }
                })
            });
            let hooks: Vec<_> = hooks.collect();
            for name in names(&self.spec["containers"]) {
                self.stop_within(&name, left());
            }
            hooks.into_iter().for_each(|hook| hook.join().unwrap());
        });
        let ended = sidecars.iter().rev().map(|sidecar| self.stop_within(&text(&sidecar["name"]), left()));
        let ended = ended.collect();
        look();
        self.remove();
        self.nothing_is_left();
        ended
    }

    /// Whatever runs is killed.
    fn remove(&self) {
        self.cri.stop_sandbox(&self.sandbox);
        for (_, ids) in std::mem::take(&mut *self.attempts.lock().unwrap()) {
            ids.iter().for_each(|id| self.cri.remove(id));
        }
        self.cri.remove_sandbox(&self.sandbox);
    }

    /// No process, no mount, no address, no link.
    fn nothing_is_left(&self) {
        let name = &self.config.metadata.as_ref().unwrap().name;
        // A group with a process, or with a group in it, cannot be removed.
        eventually("the pod's control groups are empty", Duration::from_secs(10), || {
            let left = cgroup_directories(name).filter(|group| group.exists());
            left.map(|group| fs::remove_dir(group).ok()).collect::<Option<()>>()
        });
        let mounts = fs::read_to_string(self.containerd.path("/proc/1/mountinfo")).unwrap();
        assert!(!mounts.contains(name) && !mounts.contains(&self.sandbox), "{mounts}");
        let leases = self.containerd.enter(&["grep", "--recursive", &self.sandbox, "/run/cni"]);
        assert_eq!(leases.status, 1, "{leases:?}");
    }
}

/// The pod's only container, of a printed pod.
impl Node for Pod {
    fn containerd(&self) -> &Containerd {
        &self.containerd
    }

    fn process(&self) -> PathBuf {
        self.process_of(NODE)
    }

    fn exec(&self, command: &[&str]) -> Ended {
        self.exec_in(NODE, command)
    }

    fn stop(&self) -> (i32, Duration) {
        self.stop_in_time(NODE)
    }

    fn log(&self) -> String {
        self.log_of(NODE)
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        let name = self.config.metadata.as_ref().unwrap().name.clone();
        if thread::panicking() {
            for (name, attempts) in &*self.attempts.lock().unwrap() {
                for number in 0..attempts.len() {
                    eprintln!("log of {name}, attempt {number}:\n{}", self.attempt_log(name, number));
                }
            }
        }
        // A second panic would hide the first.
        if cgroup_directories(&name).any(|group| group.exists()) {
            let _ = catch_unwind(AssertUnwindSafe(|| {
                self.remove();
                self.nothing_is_left();
            }));
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn strs(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}
