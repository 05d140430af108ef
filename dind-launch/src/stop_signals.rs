//! Which signals ask the node to stop, and which of them the main process gets.
//!
//! `docker stop` sends what the container was started with (`--stop-signal`), and nothing in a container says which that is. So
//! a signal counts by what the field sends to stop something.

use dind_system::{Root, proc, signal};
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
    let status = proc::status_of(&Root::default(), main.as_raw()).unwrap_or_default();
    if usual || status.catches(number) { number } else { SIGTERM }
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
        // A process of our own has no handler for USR1, and is asked by TERM instead.
        let own = Pid::this();
        assert_eq!((for_main(SIGQUIT, own), for_main(SIGINT, own)), (SIGQUIT, SIGINT));
        assert_eq!((for_main(SIGUSR1, own), for_main(SIGPWR, own)), (SIGTERM, SIGTERM));
    }
}
