//! Whether a container could be started here now. Docker asks every ten seconds, so this starts no program and mounts nothing.

use super::record::{NodeState, Record};
use crate::engine::readiness;
use crate::engine::writable::write_and_remove;
use crate::fault;
use dind_contract::Fault;
use dind_system::process::Process;
use dind_system::{Root, proc};
use nix::unistd::Pid;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// How long a daemon may take to answer. A healthy one does so in under a millisecond.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// Fails unless the node is up, its engine and containerd answer, its data root can be written to and has met no errors, and the
/// main process runs.
///
/// # Errors
/// [`fault::NOT_READY`]: it is still being started. [`fault::NOT_HEALTHY`].
pub(super) fn check(record: &Record) -> Result<(), Fault> {
    if record.state == NodeState::Starting {
        let stage = record.stages.iter().rfind(|stage| stage.end_ms.is_none());
        let stage = stage.map_or(String::new(), |stage| format!(", stage {}", stage.name));
        let fault = fault::NOT_READY.failed("node is not ready yet", format!("it is starting{stage}"));
        return Err(fault.hint("wait; `dind-launch status` shows the stage that is under way"));
    }
    let mut causes = Vec::new();
    if !matches!(record.state, NodeState::Running | NodeState::External) {
        causes.push(format!("the node is {}", record.state.name()));
    }
    if record.main_pid.is_some_and(|pid| Process::open(Pid::from_raw(pid)).is_err()) {
        causes.push("the main process has exited".to_owned());
    }
    if !readiness::ping(&record.socket, ANSWER_LIMIT) {
        causes.push(format!("the engine does not answer on {}", record.socket.display()));
    }
    if !readiness::grpc_answers(&record.containerd_socket, ANSWER_LIMIT) {
        causes.push(format!("containerd does not answer on {}", record.containerd_socket.display()));
    }
    if let Some(data_root) = record.daemon_json.get("data-root").and_then(Value::as_str) {
        let data_root = Path::new(data_root);
        if let Err(error) = write_and_remove(data_root) {
            causes.push(format!("cannot write to {}: {error}", data_root.display()));
        }
        causes.extend(filesystem_errors(&Root::default(), data_root));
    }
    if causes.is_empty() {
        return Ok(());
    }
    let mut fault = fault::NOT_HEALTHY.failed("node is unhealthy", causes.join("; "));
    fault.causes = causes;
    Err(fault.hint("see the record, `dind-launch status`, and the log, `docker logs NODE`"))
}

/// What the kernel knows of the data root's file system: whether it has become read-only, and how many errors ext4 has met.
fn filesystem_errors(root: &Root, data_root: &Path) -> Option<String> {
    let mounts = proc::mounts(root).ok()?;
    let mount = proc::mount_of(&mounts, data_root)?;
    let device = mount.source.strip_prefix("/dev/").filter(|_| mount.kind == "ext4");
    let count = device.and_then(|name| root.read(format!("/sys/fs/ext4/{name}/errors_count")).ok());
    let errors = match count.and_then(|text| text.trim().parse().ok()).unwrap_or(0_u64) {
        0 => None,
        1 => Some("has met an error".to_owned()),
        count => Some(format!("has met {count} errors")),
    };
    let read_only = (!mount.is_writable()).then(|| "is read-only".to_owned());
    let all: Vec<_> = errors.into_iter().chain(read_only).collect();
    (!all.is_empty()).then(|| format!("the file system of {} {}", data_root.display(), all.join(" and ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_system_is_asked_for_its_errors() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        let case = |options: &str, count: &str| {
            for (file, text) in [
                ("proc/self/mountinfo", format!("1 0 7:3 / /data rw - ext4 /dev/loop3 {options}\n")),
                ("sys/fs/ext4/loop3/errors_count", count.to_owned()),
            ] {
                fs::create_dir_all(root.path(file).parent().unwrap()).unwrap();
                fs::write(root.path(file), text).unwrap();
            }
            filesystem_errors(&root, Path::new("/data/docker"))
        };
        assert_eq!(case("rw", "0\n"), None);
        let text = |rest: &str| Some(format!("the file system of /data/docker {rest}"));
        assert_eq!(case("ro", "1\n"), text("has met an error and is read-only"));
        assert_eq!(case("rw", "2\n"), text("has met 2 errors"));
        assert_eq!(case("rw,emergency_ro", "0\n"), text("is read-only"));
    }
}
