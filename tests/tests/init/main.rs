//! The truth table of an init: exit status, signals, orphans, descriptors, terminal. `dind-reaper exec` stands for
//! `dind-launch run` too: both are made of the same supervisor. The rows are those of tini's, dumb-init's and
//! catatonit's tests. No engine, and no root where user namespaces are allowed.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod exit_status;
mod harness;
mod inherited;
mod orphans;
mod signals;
mod terminal;

/// The kernel lets nobody catch these.
const UNCATCHABLE: [i32; 2] = [9, 19];
/// ILL, TRAP, ABRT, BUS, FPE, SEGV, SYS: they mean that the init itself is broken.
const OWN: [i32; 7] = [4, 5, 6, 7, 8, 11, 31];
/// SIGCHLD is about the init's own children; 32 and 33 belong to glibc.
const INTERNAL: [i32; 3] = [17, 32, 33];
/// What does not end a process by default: CHLD, CONT, STOP, TSTP, TTIN, TTOU, URG, WINCH.
const HARMLESS: [i32; 8] = [17, 18, 19, 20, 21, 22, 23, 28];
const RTMIN: i32 = 34;

fn signals_but(excluded: &[&[i32]]) -> Vec<i32> {
    (1..=64).filter(|number| !excluded.iter().any(|set| set.contains(number))).collect()
}

/// Runs all, a few at a time.
fn each<T: Copy + Sync + std::fmt::Debug>(all: &[T], check: impl Fn(T) + Sync) {
    std::thread::scope(|scope| {
        for part in all.chunks(all.len().div_ceil(4)) {
            scope.spawn(|| part.iter().for_each(|one| check(*one)));
        }
    });
}
