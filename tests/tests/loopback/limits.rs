//! Limits on the process: file sizes, open files, processes.

use crate::machine::{Machine, document, fails, steps, succeeds};
use dind_system::{Root, proc};
use dind_tests::{bin, unique};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

fn limited(machine: &Machine, limit: &str) -> Command {
    let mut command = Command::new("prlimit");
    command.arg(limit).arg(bin("dind-storage")).arg("apply");
    machine.environment(&mut command);
    command
}

#[test]
fn a_limit_on_file_sizes_is_an_error_and_does_not_kill() {
    let machine = Machine::new();
    let refused = fails(&mut limited(&machine, "--fsize=1048576"), "image-not-made", 73);
    assert!(refused["error"]["hint"].as_str().unwrap().contains("--ulimit fsize"), "{refused}");
    machine.assert_untouched();
}

/// A first apply succeeds with so many open files. With fewer there is a number below which every apply fails.
const ENOUGH: u32 = 16;

#[test]
fn a_limit_on_open_files_is_enough_or_an_error_that_leaves_nothing() {
    let succeeded = |files: &u32| {
        let machine = Machine::new();
        let output = limited(&machine, &format!("--nofile={files}")).output().unwrap();
        let document = document(&output);
        if output.status.success() {
            machine.release();
            machine.assert_clean();
            return true;
        }
        let message = document["error"]["message"].as_str().unwrap();
        assert!(message.contains("open files"), "{document}");
        assert_ne!(document["error"]["hint"], "", "{document}");
        assert!(steps(&document).iter().all(|step| step.ends_with(":undone")), "{document}");
        machine.assert_untouched();
        false
    };
    let outcomes: Vec<_> = (4..=ENOUGH).map(|files| (files, succeeded(&files))).collect();
    assert_eq!((outcomes.first(), outcomes.last()), (Some(&(4, false)), Some(&(ENOUGH, true))));
    assert!(outcomes.is_sorted_by_key(|(_, succeeded)| *succeeded), "with more it fails again: {outcomes:?}");
}

#[test]
fn a_limit_on_processes_is_an_error_that_leaves_nothing() {
    let machine = Machine::new();
    let group = Pids::of_one();
    // The shell becomes the tool, which is then the one process that is allowed.
    let script = r#"echo $$ > "$1"/cgroup.procs && exec "$2" apply"#;
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(&group.0).arg(bin("dind-storage"));
    machine.environment(&mut command);
    let refused = fails(&mut command, "image-not-made", 73);
    assert!(refused["error"]["message"].as_str().unwrap().contains("mkfs.ext4"), "{refused}");
    machine.assert_untouched();
}

/// A control group with room for one process, as `docker run --pids-limit` makes it.
struct Pids(PathBuf);

impl Pids {
    fn of_one() -> Self {
        let mounts = proc::mounts(&Root::default()).unwrap();
        let v1 = mounts
            .iter()
            .find(|mount| mount.kind == "cgroup" && mount.options.iter().any(|option| option == "pids"));
        let v2 = mounts.iter().find(|mount| mount.kind == "cgroup2");
        let top = &v1.or(v2).expect("control groups are mounted").point;
        let children = top.join("cgroup.subtree_control");
        if v1.is_none()
            && !fs::read_to_string(&children).unwrap().split_whitespace().any(|name| name == "pids")
        {
            fs::write(children, "+pids").unwrap();
        }
        let group = top.join(unique("pids"));
        fs::create_dir(&group).unwrap();
        fs::write(group.join("pids.max"), "1").unwrap();
        Self(group)
    }
}

impl Drop for Pids {
    fn drop(&mut self) {
        fs::remove_dir(&self.0).unwrap();
    }
}

#[test]
fn an_image_may_take_more_than_half_of_an_xfs() {
    let machine = Machine::new();
    machine.volume("mkfs.xfs");
    let mut apply = machine.storage("apply");
    let applied = succeeds(apply.env("VAR_LIB_DOCKER_SIZE", "600MiB"));
    assert_eq!(applied["result"]["image"]["sparse"], false, "{applied}");
    machine.release();
    let mut again = machine.storage("apply");
    succeeds(again.env("VAR_LIB_DOCKER_SIZE", "600MiB"));
    machine.release();
}
