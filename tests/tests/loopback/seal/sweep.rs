//! A seal that is killed, or meets an error, at each of its system calls.

use super::Site;
use crate::machine::{Machine, document};
use crate::strace::is_injected;
use crate::tree::see;
use dind_tests::store::DataRoot;
use nix::mount::{MsFlags, mount};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

/// The calls that change something.
const CHANGES: &[&str] = &[
    "mkdirat,mkdir",
    "openat",
    "flock",
    "fchown",
    "fchownat",
    "chmod,fchmod,fchmodat",
    "copy_file_range",
    "ftruncate",
    "linkat",
    "symlinkat",
    "mknodat",
    "lsetxattr",
    "utimensat",
    "write",
    "syncfs",
    "fsync",
    "renameat2",
    "unlinkat",
];

/// The calls that find the way, or read. A kill at one of them leaves what a kill at the next change leaves.
const READS: &[&str] = &[
    "openat2",
    "newfstatat",
    "getdents64",
    "fstatfs,statfs",
    "ioctl",
    "lseek",
    "readlinkat",
    "llistxattr",
    "lgetxattr",
    "read",
];

/// The same of a file system, which is made in a namespace by a program.
const OF_FILE: &[&str] = &[
    "unshare",
    "mount",
    "clone,clone3,vfork",
    "wait4,waitid",
    "umount2",
    "chmod,fchmod,fchmodat",
    "renameat2",
    "syncfs",
];

/// Calls to be killed at, but not to fail: what they close or print has been done by then.
const ENDS: &[&str] = &["poll", "close", "exit_group"];

/// A data root that is small enough for a run at each of its calls.
fn small() -> Site {
    let machine = Machine::new();
    // In memory: a disk that others write to takes its time to be synced.
    let memory = (MsFlags::empty(), Some("size=64m"));
    mount(Some("tmpfs"), &machine.path(""), Some("tmpfs"), memory.0, memory.1).unwrap();
    let root = DataRoot::new(&machine.root(), "small");
    let base = root.layer(None, "base", |diff| {
        fs::create_dir(diff.join("etc")).unwrap();
        fs::write(diff.join("etc/file"), "content").unwrap();
        fs::hard_link(diff.join("etc/file"), diff.join("name")).unwrap();
        std::os::unix::fs::symlink("etc/file", diff.join("link")).unwrap();
        let sparse = fs::File::create(diff.join("sparse")).unwrap();
        sparse.set_len(1 << 20).unwrap();
        std::os::unix::fs::FileExt::write_at(&sparse, b"x", 1 << 19).unwrap();
    });
    let top = root.layer(Some(&base), "top", |diff| {
        crate::tree::device(&diff.join("etc"), nix::sys::stat::SFlag::S_IFCHR, (0, 0));
        crate::tree::set_attribute(diff, "trusted.note", b"x");
    });
    let ids = [root.image(&["base:1"], Some(&base)), root.image(&["app:2"], Some(&top)), String::new()];
    Site { machine, root, own: base.clone(), top, base, ids }
}

/// A run with a fault; what it printed, and whether the fault happened.
fn strace(site: &Site, args: &[&str], calls: &str, fault: &str) -> (Output, bool) {
    let log = site.machine.path("strace");
    let seal = site.seal(args);
    let mut command = Command::new("strace");
    command.arg("-o").arg(&log).arg(format!("--trace={calls}")).arg(format!("--inject={calls}:{fault}"));
    let output = command.arg(seal.get_program()).args(seal.get_args()).env_clear().output().unwrap();
    (output, is_injected(&fs::read_to_string(log).unwrap()))
}

fn sweep(calls: &[&str], args: &[&str], fault: &str, check: impl Fn(&Site, &Output)) -> usize {
    let mut rounds = 0;
    for call in calls {
        for round in 1.. {
            let site = small();
            let (output, injected) = strace(&site, args, call, &format!("{fault}:when={round}"));
            if !injected {
                assert!(output.status.success(), "{call} {round}: {output:?}");
                break;
            }
            check(&site, &output);
            site.machine.assert_clean_below(&[""]);
            rounds += 1;
        }
    }
    rounds
}

fn seen(site: &Site) -> BTreeMap<PathBuf, BTreeMap<PathBuf, crate::tree::Seen>> {
    let layers = [&site.base, &site.top];
    layers.into_iter().map(|layer| (site.root.diff(layer), see(&site.root.diff(layer)))).collect()
}

/// What was killed is found by the next one; the data root is as it was.
fn converges(site: &Site, args: &[&str], output: &Output) {
    let before = seen(site);
    if site.seed().exists() {
        // Only the very last calls come after the name.
        let again = document(&site.seal(args).output().unwrap());
        assert_eq!(again["error"]["code"], "seed-exists", "{output:?}");
    } else {
        assert!(output.stdout.is_empty(), "{output:?}");
        site.sealed(args);
    }
    assert_eq!(site.beside(), ["one"], "{output:?}");
    assert_eq!(seen(site), before);
    if args.is_empty() {
        assert_eq!(
            see(&site.seed().join("overlay2").join(&site.top.cache_id).join("diff")),
            before[&site.root.diff(&site.top)]
        );
        assert_eq!(
            see(&site.seed().join("overlay2").join(&site.base.cache_id).join("diff")),
            before[&site.root.diff(&site.base)]
        );
    }
}

#[test]
fn after_a_kill_at_any_call_the_next_seal_converges() {
    let calls = [CHANGES, ENDS].concat();
    let rounds = sweep(&calls, &[], "signal=SIGKILL", |site, output| converges(site, &[], output));
    assert!(rounds > 300, "only {rounds} places were tried");
}

#[test]
fn after_a_kill_at_any_call_the_next_file_system_is_made() {
    let args = ["--format", "erofs"];
    let rounds = sweep(&[OF_FILE, ENDS].concat(), &args, "signal=SIGKILL", |site, output| {
        converges(site, &args, output);
    });
    assert!(rounds > 40, "only {rounds} places were tried");
}

#[test]
fn eio_at_any_call_leaves_nothing() {
    errors("EIO", &[CHANGES, READS].concat());
}

#[test]
fn enospc_at_any_call_leaves_nothing() {
    errors("ENOSPC", CHANGES);
}

fn errors(error: &str, calls: &[&str]) {
    let check = |args: &'static [&'static str]| {
        move |site: &Site, output: &Output| {
            if output.stdout.is_empty() {
                // What could not be printed was done.
                return assert!(site.seed().exists() && output.status.success(), "{output:?}");
            }
            let document = document(output);
            if output.status.success() {
                // Some calls may fail: another can stand in for them, or they look for what need not be there.
                assert!(site.seed().exists());
                if args.is_empty() {
                    for layer in [&site.base, &site.top] {
                        let copy = site.seed().join("overlay2").join(&layer.cache_id).join("diff");
                        assert_eq!(see(&copy), see(&site.root.diff(layer)), "{document}");
                    }
                }
                return;
            }
            let message = document["error"]["message"].as_str().unwrap();
            assert!(message.starts_with("cannot ") && message.contains("`: "), "{message}");
            assert_ne!(document["error"]["hint"], "", "{document}");
            assert!(!site.seed().exists(), "{document}");
            // Where even removing fails, the next seal removes.
            if !site.beside().is_empty() {
                assert_eq!(site.beside(), [".one.tmp"], "{document}");
            }
            site.sealed(args);
            assert_eq!(site.beside(), ["one"]);
        }
    };
    let fault = format!("error={error}");
    let rounds = sweep(calls, &[], &fault, check(&[]));
    assert!(rounds > 200, "only {rounds} places were tried with {error}");
    let rounds = sweep(OF_FILE, &["--format", "erofs"], &fault, check(&["--format", "erofs"]));
    assert!(rounds > 10, "only {rounds} places were tried with {error}");
}

#[test]
fn where_the_kernel_does_not_know_a_flag_nothing_is_replaced_all_the_same() {
    for form in ["dir", "erofs"] {
        let site = small();
        let (output, injected) = strace(&site, &["--format", form], "renameat2", "error=EINVAL");
        assert!(injected && output.status.success(), "{output:?}");
        assert_eq!(site.beside(), ["one"]);
    }
}

#[test]
fn where_the_kernel_does_not_copy_the_program_does() {
    let site = small();
    let calls = "copy_file_range,sendfile,ioctl";
    let (output, injected) = strace(&site, &[], calls, "error=EINVAL");
    assert!(injected && output.status.success(), "{output:?}");
    for layer in [&site.base, &site.top] {
        let copy = site.seed().join("overlay2").join(&layer.cache_id).join("diff");
        assert_eq!(see(&copy), see(&site.root.diff(layer)));
    }
}
