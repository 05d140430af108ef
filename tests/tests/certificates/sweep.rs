//! An apply that is killed, or meets an error, at each of its system calls.

use crate::directory::{Directory, Kind, outcome};
use std::collections::BTreeMap;
use std::fs;
use std::process::Output;

/// Names that the certificates of the second apply have, and those of the first do not.
const SAN: &str = "DNS:new.example.com";

/// Calls about the process's own memory, signals and clocks. What is outside of it is at them as it is at the call that follows.
const INNER: [&str; 12] = [
    "brk",
    "madvise",
    "mmap",
    "mprotect",
    "mremap",
    "munmap",
    "prctl",
    "prlimit64",
    "rseq",
    "rt_sigaction",
    "rt_sigprocmask",
    "sigaltstack",
];

/// A start on an empty directory, or one that has certificates already and needs another name in one of them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    Certificates,
}

impl Before {
    fn directory(self, kind: Kind) -> Directory {
        let directory = Directory::new(kind);
        if self == Self::Certificates {
            directory.apply("");
        }
        directory
    }
}

/// Runs an apply under strace; returns what it printed and what strace saw.
fn traced(directory: &Directory, flags: &[&str]) -> (Output, String) {
    let log = directory.outside("strace");
    let words = [&["strace", "-f", "-o", log.to_str().unwrap()], flags].concat();
    let output =
        directory.through(&words, "apply", SAN).output().expect("strace is missing: run `cargo xtask test`");
    (output, fs::read_to_string(log).unwrap())
}

/// How often an apply makes each of its system calls.
fn calls(directory: &Directory) -> BTreeMap<String, usize> {
    let mut calls = BTreeMap::new();
    for line in traced(directory, &[]).1.lines() {
        let call = line.split_whitespace().nth(1).and_then(|text| text.split_once('('));
        if let Some((name, _)) = call {
            *calls.entry(name.to_owned()).or_default() += 1;
        }
    }
    // strace sees this one only as it begins.
    calls.retain(|call, _| call != "execve" && !INNER.contains(&call.as_str()));
    calls
}

/// Whether a call can meet a fault: the kernel reports a full disk only where something is written, and a missing permission only
/// where a path is looked up. getrandom(2) has none of these errors, and there is no key without it.
fn can_have(call: &str, fault: &str) -> bool {
    let is_one_of = |names: &[&str]| names.iter().any(|name| call.starts_with(name));
    match fault {
        "error=ENOSPC" => {
            is_one_of(&["open", "write", "mkdir", "rename", "fsync", "link", "symlink", "fallocate"])
        }
        "error=EACCES" => is_one_of(&[
            "open",
            "mkdir",
            "rename",
            "unlink",
            "rmdir",
            "stat",
            "newfstatat",
            "access",
            "faccess",
            "chmod",
            "fchmodat",
        ]),
        "error=EIO" => call != "getrandom",
        _ => true,
    }
}

/// A fault at the first, second, … of each call, each on a directory as it was before. Returns how many there were.
fn sweep(
    kind: Kind,
    before: Before,
    fault: &str,
    check: impl Fn(&Directory, &BTreeMap<String, Vec<u8>>, &Output),
) -> usize {
    let mut rounds = 0;
    for (call, count) in calls(&before.directory(kind)).into_iter().filter(|(call, _)| can_have(call, fault))
    {
        for round in 1..=count {
            let directory = before.directory(kind);
            let old = directory.files();
            let (output, log) = traced(&directory, &[&format!("--inject={call}:{fault}:when={round}")]);
            if log.contains("(INJECTED)") || log.contains("killed by SIGKILL") {
                directory.assert_private();
                check(&directory, &old, &output);
                rounds += 1;
            }
        }
    }
    rounds
}

#[test]
fn a_kill_at_any_call_leaves_all_old_files_or_all_new_ones() {
    for before in [Before::Nothing, Before::Certificates] {
        let rounds = sweep(Kind::Plain, before, "signal=SIGKILL", |directory, old, _| {
            let now = directory.files();
            assert!(now == *old || (now.len() == 8 && directory.is_complete(SAN)), "{:?}", now.keys());
            converges(directory, old);
        });
        assert!(rounds > 150, "only {rounds} places were tried");
    }
}

#[test]
fn on_a_volume_the_next_apply_goes_on_after_a_kill_at_any_call() {
    for kind in [Kind::Mounted, Kind::ClientMounted] {
        for before in [Before::Nothing, Before::Certificates] {
            let rounds = sweep(kind, before, "signal=SIGKILL", |directory, old, _| {
                // A CA that was there, and the keys, are never lost.
                for (name, content) in
                    old.iter().filter(|(name, _)| name.ends_with("key.pem") || name.starts_with("ca/"))
                {
                    assert_eq!(directory.files().get(name), Some(content), "{name}");
                }
                converges(directory, old);
            });
            assert!(rounds > 150, "only {rounds} places were tried");
        }
    }
}

/// The next apply ends with files that fit, and leaves nothing else. What had been there stays, but for the one certificate.
fn converges(directory: &Directory, old: &BTreeMap<String, Vec<u8>>) {
    directory.apply(SAN);
    assert_eq!(directory.leftovers(), [""; 0]);
    assert!(directory.is_complete(SAN));
    let now = directory.files();
    assert_eq!(now.len(), 8, "{:?}", now.keys());
    for (name, content) in old {
        assert_eq!(now[name] == *content, name != "server/cert.pem", "{name}");
    }
}

#[test]
fn an_error_at_any_call_leaves_what_was_there_or_is_overcome() {
    for error in ["EIO", "ENOSPC", "EACCES"] {
        for kind in Kind::ALL {
            let rounds =
                sweep(kind, Before::Certificates, &format!("error={error}"), |directory, old, output| {
                    if output.status.success() {
                        assert!(directory.is_complete(SAN), "{output:?}");
                    } else if output.status.code() == Some(73) || output.status.code() == Some(74) {
                        let (_, document) = outcome(output);
                        assert_ne!(document["error"]["hint"], "", "{document}");
                        // All is as it was; or the one new file is in place, and what came after that has failed.
                        let mut now = directory.files();
                        now.retain(|name, _| !name.contains("dind-tls"));
                        let mut differ: Vec<_> = now.keys().chain(old.keys()).collect();
                        differ.retain(|name| now.get(*name) != old.get(*name));
                        assert!(
                            differ.iter().all(|name| *name == "server/cert.pem"),
                            "{differ:?}: {document}"
                        );
                    }
                    // What the program cannot do without, such as memory, ends it.
                    converges(directory, old);
                });
            assert!(rounds > 40, "only {rounds} places were tried with {error}");
        }
    }
}
