//! Limits on the process: file sizes, open files, processes.

use crate::machine::{Machine, document, fails, steps};
use dind_tests::bin;
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
fn a_limit_on_file_sizes_is_an_error_and_no_death() {
    let machine = Machine::new();
    let refused = fails(&mut limited(&machine, "--fsize=1048576"), "image-not-made", 73);
    assert!(refused["error"]["hint"].as_str().unwrap().contains("--ulimit fsize"), "{refused}");
    machine.assert_untouched();
}

#[test]
fn a_limit_on_open_files_is_enough_or_an_error_that_leaves_nothing() {
    for files in 4..=16 {
        let machine = Machine::new();
        let output = limited(&machine, &format!("--nofile={files}")).output().unwrap();
        let document = document(&output);
        if output.status.success() {
            machine.release();
            machine.assert_clean();
            continue;
        }
        assert!(files < 16, "sixteen open files are enough: {document}");
        let message = document["error"]["message"].as_str().unwrap();
        assert!(message.contains("open files"), "{document}");
        assert!(steps(&document).iter().all(|step| step.ends_with(":undone")), "{document}");
        machine.assert_untouched();
    }
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
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let fields = || mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let v1 = fields().find(|line| line[2] == "cgroup" && line[3].split(',').any(|name| name == "pids"));
        let v2 = fields().find(|line| line[2] == "cgroup2");
        let top = PathBuf::from(v1.clone().or(v2).expect("control groups are mounted")[1]);
        if v1.is_none() {
            fs::write(top.join("cgroup.subtree_control"), "+pids").unwrap();
        }
        let group = top.join(format!("dind-test-{}", std::process::id()));
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
