//! What the machine has that scripts try to get at: files, disks, a process, swap, keys; and beside the nodes, a container with a
//! volume and a network of its own.

use super::machine::{DISK, HELPER, HOME, SECRET, helper, now, read, run, start_a_victim};
use dind_tests::outer::{Network, Volume, docker, inner_image};
use dind_tests::{bin, unique};
use std::fs::{self, File};
use std::io::Write;
use std::net::UdpSocket;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A loop device of the machine's.
const LOOP: &str = "/dev/loop6";

/// Root of the nodes in user namespaces, to whom the other container's files belong as well.
const OWNER: u32 = 165_536;

/// Of every place. What lies in `/host` is a file of the machine's root; in `/tools`, what scripts call.
pub(in super::super) const OPTIONS: [&str; 10] = [
    "--volume",
    "/escape/host:/host",
    "--volume",
    "/escape/tools:/tools:ro",
    "--memory",
    "500m",
    "--pids-limit",
    "900",
    "--ulimit",
    "nofile=60000:60000",
];

/// The scene. What a guest that is checked for leftovers would be blamed for goes with it.
pub(in super::super) struct Scene {
    bystander: String,
    packets: Option<JoinHandle<()>>,
    done: Arc<AtomicBool>,
    _volume: Volume,
    _network: Network,
}

impl Scene {
    pub(in super::super) fn set() -> Self {
        for directory in ["host", "host/mnt", "mnt", "tools", "debug"] {
            fs::create_dir_all(Path::new(HOME).join(directory)).unwrap();
        }
        let at = |name: &str| format!("{HOME}/{name}");
        for file in [&at("host/secret"), "/root/escape"] {
            fs::write(file, SECRET).unwrap();
            run(&["chmod", "600", file]);
        }
        fs::copy("/bin/busybox", at("tools/busybox")).unwrap();
        fs::copy(bin(HELPER), at("tools").as_str().to_owned() + "/" + HELPER).unwrap();
        fs::write(at("began"), now().to_string()).unwrap();
        // All of what is written there, not a few lines in a second.
        fs::write("/proc/sys/kernel/printk_devkmsg", "on\n").unwrap();
        let start = [SECRET.as_bytes(), &[0; 1 << 20]].concat();
        fs::write(at("disk"), &start).unwrap();
        run(&["losetup", LOOP, &at("disk")]);
        File::options().write(true).open(DISK).unwrap().write_all(&start).unwrap();
        run(&["mount", "-t", "debugfs", "debug", &at("debug")]);
        swap();
        kernel_parts();
        helper(&["key-add", "escape", SECRET]);
        run(&["ip", "link", "add", SECRET, "type", "bridge"]);
        start_a_victim();
        Self::with_a_bystander()
    }

    fn with_a_bystander() -> Self {
        let (volume, network) = (Volume::new(), Network::new("10.236.0.0/24", "10.236.0.0/24", &[]));
        let data = docker(&["volume", "inspect", "--format", "{{.Mountpoint}}", &volume.name]).ok();
        for (file, text) in [("secret", SECRET), ("file", "")] {
            let file = Path::new(&data).join(file);
            fs::write(&file, text).unwrap();
            chown(file, Some(OWNER), Some(OWNER)).unwrap();
        }
        // From the root of the disk.
        fs::write(format!("{HOME}/tools/volume"), data.strip_prefix("/var/lib/docker/").unwrap()).unwrap();

        let (bystander, mount) = (unique("bystander"), format!("{}:/other", volume.name));
        let own = ["run", "--detach", "--name", &bystander, "--network", &network.name];
        let more = ["--volume", &mount, "--memory", "50m", &inner_image(), "sleep", "100000"];
        docker(&[&own[..], &more].concat()).ok();
        let pid = docker(&["inspect", "--format", "{{.State.Pid}}", &bystander]).ok();
        let group = read(format!("/proc/{pid}/cgroup"));
        fs::write(format!("{HOME}/tools/group"), group.strip_prefix("0::").unwrap()).unwrap();

        let address = dind_tests::outer::address_of(&bystander);
        let done = Arc::new(AtomicBool::new(false));
        let sent = Arc::clone(&done);
        let packets = thread::spawn(move || {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            while !sent.load(Ordering::Relaxed) {
                // Nobody receives them, which a later call may report.
                let _ = socket.send_to(format!("packet:{SECRET}").as_bytes(), (address.as_str(), 9));
                thread::sleep(Duration::from_millis(20));
            }
        });
        Self { bystander, packets: Some(packets), done, _volume: volume, _network: network }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        let _ = self.packets.take().map(JoinHandle::join);
        let _ = docker(&["rm", "--force", &self.bystander]);
        run(&["losetup", "--detach", LOOP]);
        run(&["umount", &format!("{HOME}/debug")]);
        run(&["swapoff", "--all"]);
        run(&["ip", "link", "del", SECRET]);
        run(&["kill", &read(format!("{HOME}/host/pid"))]);
    }
}

/// One that is used, and one that is not.
fn swap() {
    for name in ["swap", "more-swap"] {
        let file = format!("{HOME}/host/{name}");
        fs::write(&file, vec![0; 4 << 20]).unwrap();
        run(&["chmod", "600", &file]);
        run(&["mkswap", &file]);
    }
    run(&["swapon", &format!("{HOME}/host/swap")]);
}

/// A module and a profile of AppArmor's that could be loaded.
fn kernel_parts() {
    let shown = Command::new("modinfo").args(["--field", "filename", "dummy"]).output().unwrap();
    let module = String::from_utf8(shown.stdout).unwrap().trim().to_owned();
    let unpack = if module.ends_with(".xz") { "busybox unxz -c" } else { "cat" };
    run(&["sh", "-c", &format!("{unpack} {module} >{HOME}/tools/dummy.ko")]);
    let compile = "echo 'profile b05e83d17a {}' | apparmor_parser --skip-kernel-load --stdout";
    run(&["sh", "-c", &format!("{compile} >{HOME}/tools/profile")]);
}

/// runc mounts cgroups for a container in the host's cgroup namespace without the option that makes a cgroup namespace a boundary,
/// and the kernel takes it from all mounts then (cgroup-v2.rst, `nsdelegate`).
pub(super) fn restore_the_boundary_of_cgroups() {
    let kept = read("/proc/mounts").contains("nsdelegate");
    let note = format!(
        "nsdelegate after a container with --cgroupns host: {}\n",
        if kept { "kept" } else { "lost" }
    );
    std::io::stderr().write_all(note.as_bytes()).unwrap();
    run(&["mount", "-o", "remount,nsdelegate,memory_recursiveprot", "/sys/fs/cgroup"]);
    assert!(
        read("/proc/mounts")
            .lines()
            .any(|mount| mount.contains("/sys/fs/cgroup ") && mount.contains("nsdelegate"))
    );
}
