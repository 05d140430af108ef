//! Who holds a file system: processes with open files, working directories or programs in it, and those whose mount
//! namespace still has it, where an unmount here changed nothing.

use dind_system::proc::parse_mounts;
use nix::sys::stat::makedev;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// How many are named at most.
const MOST: usize = 10;

/// One line for each process, such as `process 42 (sleep) has its working directory there`.
#[must_use]
pub fn of(device: (u64, u64)) -> Vec<String> {
    let mut holders = Vec::new();
    let ours = fs::read_link("/proc/self/ns/mnt").ok();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        if let Some(how) = how(&entry.path(), device, ours.as_deref()) {
            let comm = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            holders.push(format!("process {name} ({}) {how}", comm.trim()));
        }
        if holders.len() == MOST {
            break;
        }
    }
    holders
}

fn how(process: &Path, device: (u64, u64), our_namespace: Option<&Path>) -> Option<&'static str> {
    let wanted = makedev(device.0, device.1);
    let inside = |link: &Path| fs::metadata(link).is_ok_and(|meta| meta.dev() == wanted);
    if inside(&process.join("cwd")) {
        return Some("has its working directory there");
    }
    if inside(&process.join("root")) {
        return Some("has its root there");
    }
    if inside(&process.join("exe")) {
        return Some("runs a program from there");
    }
    let files = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    if files.map(|entry| entry.path()).any(|link| inside(&link)) {
        return Some("has a file open there");
    }
    if fs::read_link(process.join("ns/mnt")).ok().as_deref() == our_namespace {
        return None;
    }
    let mounted = fs::read_to_string(process.join("mountinfo")).unwrap_or_default();
    if parse_mounts(&mounted).iter().any(|mount| mount.device == device) {
        return Some("still has it mounted in its own namespace");
    }
    None
}
