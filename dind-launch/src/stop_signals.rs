//! Which signals ask the node to stop, and which of them the main process gets.
//!
//! `docker stop` sends what the container was started with (`--stop-signal`), and nothing in a container says which that is. So
//! a signal counts by what the field sends to stop something.

use dind_system::{Root, signal};
use nix::libc::{SIGALRM, SIGINT, SIGPWR, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};
use nix::unistd::Pid;

/// Stops a container whose first process is systemd (systemd(1), `SIGRTMIN+3`: halt.target).
const SYSTEMD_HALT: &str = "RTMIN+3";

/// Whether a signal asks the node to stop, whatever runs in it: TERM, INT, and what stops the init of a system container,
/// RTMIN+3 (systemd) and PWR (LXC).
///
/// Where the engine is the service, so do QUIT (nginx, php-fpm), USR1 (HAProxy), USR2, ALRM, and WINCH (httpd) unless there is a
/// terminal, whose change of size sends it. To a main process all of these may mean something else (a JVM prints its threads
/// on QUIT): it gets them, and the node stops when it ends.
#[must_use]
pub fn stops_node(number: i32, has_main: bool, has_terminal: bool) -> bool {
    match number {
        SIGTERM | SIGINT | SIGPWR => true,
        SIGQUIT | SIGUSR1 | SIGUSR2 | SIGALRM => !has_main,
        SIGWINCH => !has_main && !has_terminal,
        other => Some(other) == signal::number(SYSTEMD_HALT),
    }
}

/// What a main process gets that is to stop because this signal has come: the signal itself if it is one that programs are
/// stopped by, or that this one catches; otherwise TERM, for any other would only kill it.
#[must_use]
pub fn for_main(number: i32, main: Pid) -> i32 {
    let usual = matches!(number, SIGTERM | SIGINT | SIGQUIT);
    if usual || catches(&Root::default(), main, number) { number } else { SIGTERM }
}

/// `SigCgt` of proc_pid_status(5): a bit for each signal that has a handler, the lowest for signal 1.
fn catches(root: &Root, pid: Pid, number: i32) -> bool {
    let status = root.read(format!("/proc/{pid}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    u32::try_from(number - 1).ok().and_then(|bit| mask.checked_shr(bit)).is_some_and(|bits| bits & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::libc::{SIGCHLD, SIGCONT, SIGHUP};

    #[test]
    fn what_stops_a_node() {
        let halt = signal::number(SYSTEMD_HALT).unwrap();
        for number in [SIGTERM, SIGINT, SIGPWR, halt] {
            assert!(stops_node(number, true, true) && stops_node(number, false, false), "{number}");
        }
        for number in [SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM] {
            assert!(!stops_node(number, true, false) && stops_node(number, false, true), "{number}");
        }
        assert!(stops_node(SIGWINCH, false, false));
        assert!(!stops_node(SIGWINCH, false, true) && !stops_node(SIGWINCH, true, false));
        for number in [SIGHUP, SIGCHLD, SIGCONT, halt + 1] {
            assert!(!stops_node(number, false, false), "{number}");
        }
    }

    #[test]
    fn a_main_process_gets_what_it_catches_or_term() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(directory.path().join("proc/7")).unwrap();
        let root = Root::at(directory.path());
        let (usr1, halt) = (1u64 << (SIGUSR1 - 1), 1u64 << 36);
        let status = format!("Name:\tx\nSigIgn:\tffffffffffffffff\nSigCgt:\t{:016x}\n", usr1 | halt);
        std::fs::write(directory.path().join("proc/7/status"), status).unwrap();
        let caught = |number| catches(&root, Pid::from_raw(7), number);
        assert!(caught(SIGUSR1) && caught(37));
        assert!(!caught(SIGTERM) && !caught(38) && !caught(0));
        assert!(!catches(&root, Pid::from_raw(8), SIGUSR1), "there is no such process");
    }
}
