//! The cells of the support table as nerdctl runs them: a container of containerd's own, by its client, with a network of CNI's.

use crate::cell::{GRACE, MEMORY, Node, is_gone, share, variables};
use crate::daemon::{Containerd, NAMESPACE, SOCKET};
use dind_tests::cell::{self, MAIN, Storage};
use dind_tests::outer::{Ended, LIMIT, Share, image, setting};
use dind_tests::{eventually, unique};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A container that the client runs, and whose network it takes down.
struct Run {
    containerd: Arc<Containerd>,
    client: Mutex<Child>,
    name: String,
    directory: PathBuf,
}

impl Run {
    /// `ctr run --rm --cni --privileged`. A native data root is on a directory of the machine, as the volume of nerdctl's would be.
    fn start(storage: Storage, range: Option<u8>, share: &Share) -> Self {
        let containerd = Containerd::shared();
        let name = unique("ctr");
        let directory = containerd.scratch(&name);
        fs::create_dir(directory.join("docker")).unwrap();
        fs::write(directory.join("resolv.conf"), "nameserver 192.0.2.53\n").unwrap();
        fs::write(directory.join("hosts"), "127.0.0.1\tlocalhost\n").unwrap();
        let at = |file: &str| directory.join(file).display().to_string();
        let mut mounts = vec![
            (at("resolv.conf"), "/etc/resolv.conf"),
            (at("hosts"), "/etc/hosts"),
            (setting("DIND_TEST_PRELOAD"), "/preload"),
            (share.path("").display().to_string(), "/share"),
        ];
        if storage == Storage::Native {
            mounts.push((at("docker"), "/var/lib/docker"));
        }
        let mut words: Vec<_> =
            ["ctr", "--address", SOCKET, "--namespace", NAMESPACE, "run", "--rm", "--cni", "--privileged"]
                .map(str::to_owned)
                .to_vec();
        words.push(format!("--runc-binary={}", containerd.runtime().display()));
        words.extend([format!("--cgroup=/{name}"), format!("--memory-limit={MEMORY}")]);
        words.extend(
            mounts.iter().map(|(from, to)| format!("--mount=type=bind,src={from},dst={to},options=rbind:rw")),
        );
        words.push("--env=DIND_PRELOAD=/preload".to_owned());
        words.extend(
            variables(storage, range).iter().map(|(variable, value)| format!("--env={variable}={value}")),
        );
        words.extend([format!("docker.io/library/{}", image()), name.clone()]);
        words.extend(["dind-launch", "run", "--"].map(str::to_owned));
        words.extend(MAIN.map(str::to_owned));
        let log = File::create(directory.join("log")).unwrap();
        let mut client = containerd.command(&words.iter().map(String::as_str).collect::<Vec<_>>());
        client.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let client = Mutex::new(client.spawn().unwrap());
        let run = Self { containerd, client, name, directory };
        eventually("the container runs", LIMIT, || run.pid());
        run
    }

    fn ctr(&self, args: &[&str]) -> Ended {
        self.containerd.ctr(&[&["--namespace", NAMESPACE], args].concat())
    }

    /// containerd's number of its PID 1.
    fn pid(&self) -> Option<String> {
        let ended = self.client.lock().unwrap().try_wait().unwrap();
        assert!(ended.is_none(), "the client has ended: {}", self.log());
        let tasks = self.ctr(&["tasks", "list"]).ok();
        let mut tasks = tasks.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        tasks.find(|task| task[0] == self.name && task[2] == "RUNNING").map(|task| task[1].to_owned())
    }
}

impl Node for Run {
    fn containerd(&self) -> &Containerd {
        &self.containerd
    }

    fn process(&self) -> PathBuf {
        self.containerd.process(&self.pid().expect("the container runs"))
    }

    fn exec(&self, command: &[&str]) -> Ended {
        self.ctr(&[&["tasks", "exec", "--exec-id", &unique("exec"), &self.name], command].concat())
    }

    fn stop(&self) -> (i32, Duration) {
        let asked = Instant::now();
        self.ctr(&["tasks", "kill", "--signal", "SIGTERM", &self.name]).ok();
        let status =
            eventually("the client has ended", GRACE, || self.client.lock().unwrap().try_wait().unwrap());
        (status.code().unwrap(), asked.elapsed())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("log of {}:\n{}", self.name, self.log());
        }
        // Nothing is there any more where the container has ended by itself.
        self.ctr(&["tasks", "kill", "--signal", "SIGKILL", &self.name]);
        let _ = self.client.lock().unwrap().wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn cell(storage: Storage, range: Option<u8>) {
    cell::ran_on(module_path!(), &format!("{} by ctr", Containerd::versions()));
    let share = share();
    let run = Run::start(storage, range, &share);
    let group = crate::cell::cell(&run, &share, storage, range);
    is_gone(&group);
    let left = run.ctr(&["containers", "list", "--quiet"]).ok();
    assert!(!left.contains(&run.name), "{left}");
    let leases = run.containerd.enter(&["grep", "--recursive", &run.name, "/run/cni"]);
    assert_eq!(leases.status, 1, "{leases:?}");
}

#[test]
fn native_default() {
    cell(Storage::Native, None);
}

#[test]
fn native_bridged() {
    cell(Storage::Native, Some(7));
}

#[test]
fn loop_default() {
    cell(Storage::Loop, None);
}

#[test]
fn loop_bridged() {
    cell(Storage::Loop, Some(8));
}
