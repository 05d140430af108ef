//! An OCI runtime for machines whose root has not every capability: takes the missing ones out of the bundle, then
//! becomes runc, or crun.
//!
//! `--privileged` asks for every capability the kernel knows, and runc refuses to start a process with one that is
//! not in the bounding set (capabilities(7)). Some virtual machines and most nested containers have such a set.

use crate::Result;
use dind_system::proc;
use dind_system::root::Root;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use serde_json::Value;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The wrapper is this program under another name: engines give a runtime no arguments of their own.
pub const NAME: &str = "dind-runtime";

/// The same for crun, under crun's own name: podman knows by the name what a runtime can do (containers.conf(5), `runtime_supports_json`).
pub const CRUN: &str = "crun";

/// By number (linux/capability.h).
const CAPABILITIES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// Capabilities of this kernel that no process here can have, as OCI spells them.
pub fn missing_capabilities() -> Result<Vec<String>> {
    let bounding = proc::status(&Root::default())?.bounding;
    let last = fs::read_to_string("/proc/sys/kernel/cap_last_cap")?;
    Ok(missing(bounding, last.trim().parse()?))
}

/// Compares the capability bounding set, one bit each, with the kernel's last capability.
fn missing(bounding: u64, last: usize) -> Vec<String> {
    let known = CAPABILITIES.iter().enumerate().take(last + 1);
    known.filter(|(bit, _)| bounding & (1 << bit) == 0).map(|(_, name)| format!("CAP_{name}")).collect()
}

/// What the wrapper of this name becomes.
#[must_use]
pub fn behind(own_name: &str) -> Option<&'static str> {
    let name = Path::new(own_name).file_name()?;
    [(NAME, "runc"), (CRUN, CRUN)]
        .into_iter()
        .find_map(|(wrapper, runtime)| (name == wrapper).then_some(runtime))
}

/// Prepares the document that the call is about and becomes the runtime; returns only when that fails.
pub fn run(runtime: &str, args: &[String]) -> Result<()> {
    if let Some(document) = document(args) {
        let text = fs::read_to_string(&document)?;
        let stripped = strip(serde_json::from_str(&text)?, &missing_capabilities()?);
        fs::write(&document, stripped.to_string())?;
    }
    if runtime == CRUN {
        hide_second_hierarchy()?;
    }
    Err(format!("cannot execute `{runtime}`: {}", Command::new(runtime).args(args).exec()).into())
}

/// Where a machine has cgroup v1 and a hierarchy of v2 with controllers beside it, crun refuses to work (libcrun's
/// `libcrun_get_cgroup_mode`). It is shown v1 alone, in a mount namespace of its own.
fn hide_second_hierarchy() -> Result<()> {
    let second = Path::new("/sys/fs/cgroup/unified");
    let controllers = fs::read_to_string(second.join("cgroup.controllers")).unwrap_or_default();
    if controllers.trim().is_empty() {
        return Ok(());
    }
    unshare(CloneFlags::CLONE_NEWNS)?;
    // All others stay what they are for the mounts of containers.
    mount(None::<&str>, "/sys/fs/cgroup", None::<&str>, MsFlags::MS_PRIVATE, None::<&str>)?;
    Ok(umount2(second, MntFlags::MNT_DETACH)?)
}

/// The file that says what the new process may do: the bundle's for `create` and `run`, the given one for `exec`.
fn document(args: &[String]) -> Option<PathBuf> {
    let verb = args.iter().find(|arg| ["create", "run", "exec"].contains(&arg.as_str()))?;
    if verb == "exec" {
        return option(args, "--process", "-p").map(PathBuf::from);
    }
    Some(Path::new(option(args, "--bundle", "-b").unwrap_or(".")).join("config.json"))
}

fn option<'a>(args: &'a [String], long: &str, short: &str) -> Option<&'a str> {
    args.iter().enumerate().find_map(|(at, arg)| match arg.strip_prefix(long) {
        Some(rest) if !rest.is_empty() => rest.strip_prefix('='),
        Some(_) => args.get(at + 1).map(String::as_str),
        None if arg == short => args.get(at + 1).map(String::as_str),
        None => None,
    })
}

/// Removes capabilities from a bundle's configuration, or from a bare process document.
fn strip(mut document: Value, missing: &[String]) -> Value {
    let process = if document.get("process").is_some() { &mut document["process"] } else { &mut document };
    if let Some(sets) = process.get_mut("capabilities").and_then(Value::as_object_mut) {
        for set in sets.values_mut().filter_map(Value::as_array_mut) {
            set.retain(|name| !missing.iter().any(|gone| name == gone));
        }
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nothing_is_missing_in_a_full_bounding_set() {
        assert!(missing(0x1ff_ffff_ffff, 40).is_empty());
        assert!(missing(0x3f_ffff_ffff, 37).is_empty());
        assert_eq!(missing(0x1ff_feff_ffff, 40), ["CAP_SYS_RESOURCE"]);
    }

    #[test]
    fn only_what_is_missing_is_taken_away() {
        let missing = ["CAP_SYS_RESOURCE".to_owned()];
        let caps = json!({"bounding": ["CAP_CHOWN", "CAP_SYS_RESOURCE"], "effective": ["CAP_SYS_RESOURCE"]});
        let left = json!({"bounding": ["CAP_CHOWN"], "effective": []});
        let bundle = strip(json!({"process": {"capabilities": caps}, "linux": {}}), &missing);
        assert_eq!(bundle, json!({"process": {"capabilities": left}, "linux": {}}));
        let process = strip(json!({"args": ["sh"], "capabilities": caps}), &missing);
        assert_eq!(process, json!({"args": ["sh"], "capabilities": left}));
    }

    #[test]
    fn the_document_is_found_where_runc_finds_it() {
        let found = |line: &str| {
            let args: Vec<_> = line.split(' ').map(str::to_owned).collect();
            document(&args).map(|path| path.display().to_string())
        };
        assert_eq!(found("--root /r create --bundle /b id").as_deref(), Some("/b/config.json"));
        assert_eq!(found("create --bundle=/b id").as_deref(), Some("/b/config.json"));
        assert_eq!(found("run id").as_deref(), Some("./config.json"));
        assert_eq!(found("exec --process /p.json --detach id").as_deref(), Some("/p.json"));
        assert_eq!(found("--root /r kill id 9"), None);
    }
}
