//! The init's loop under floods. One test, for there is one init to a process.

#![allow(clippy::unwrap_used)]

use dind_system::supervisor::{Event, Supervisor};
use nix::libc;
use nix::unistd::{getpid, gettid};
use std::io::Write;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const WAIT: Duration = Duration::from_millis(100);
/// How late a deadline may be on a busy machine.
const LATE: Duration = Duration::from_secs(10);

#[test]
fn no_flood_delays_the_deadline_or_another_source() {
    let mut supervisor = Supervisor::new().unwrap();
    // Pipes that nobody reads are always ready.
    let (first, mut first_writer) = std::io::pipe().unwrap();
    let (second, mut second_writer) = std::io::pipe().unwrap();
    first_writer.write_all(b"flood").unwrap();
    second_writer.write_all(b"flood").unwrap();
    let watched = [first.as_fd(), second.as_fd()];
    let events = until_the_deadline(&mut supervisor, &watched);
    let count = |index| events.iter().filter(|event| **event == Event::Ready(index)).count();
    assert!(count(0).abs_diff(count(1)) <= 1, "{} and {}", count(0), count(1));

    let (pid, thread, number) = (getpid().as_raw(), gettid().as_raw(), libc::SIGRTMIN());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    // SAFETY: the call takes three integers. Real-time signals queue, and this thread alone is meant.
                    #[allow(unsafe_code)]
                    unsafe {
                        libc::syscall(libc::SYS_tgkill, pid, thread, number)
                    };
                }
            });
        }
        let events = until_the_deadline(&mut supervisor, &[]);
        done.store(true, Ordering::Relaxed);
        assert!(events.contains(&Event::Signal(number)));
    });
}

/// All events until the deadline is reported.
fn until_the_deadline(supervisor: &mut Supervisor, watched: &[std::os::fd::BorrowedFd<'_>]) -> Vec<Event> {
    let deadline = Instant::now() + WAIT;
    let mut events = Vec::new();
    while Instant::now() < deadline + LATE {
        match supervisor.next(watched, Some(deadline)).unwrap() {
            Event::Deadline => return events,
            event => events.push(event),
        }
    }
    panic!("no deadline after {} events", events.len());
}
