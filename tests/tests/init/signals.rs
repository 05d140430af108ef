//! Signals on their way to the command.

use crate::harness::{Living, STANDS, test_child};
use crate::{INTERNAL, OWN, RTMIN, UNCATCHABLE, signals_but};
use dind_tests::within;
use std::process::Command;
use std::time::{Duration, Instant};

#[test]
fn every_signal_reaches_the_command_once_and_in_order() {
    for stand in STANDS {
        let mut living = Living::start(stand, &[test_child(), "signals"]);
        for number in signals_but(&[&UNCATCHABLE, &OWN, &INTERNAL]) {
            living.signal(number);
            assert_eq!(living.line(), number.to_string(), "{stand:?}");
        }
        // A SIGCHLD from outside is not forwarded: what comes next is the next signal.
        living.signal(17);
        living.signal(RTMIN + 3);
        assert_eq!(living.line(), (RTMIN + 3).to_string());
        assert_eq!(living.end(), 7, "{stand:?}: they end neither the command nor the init");
    }
}

#[test]
fn real_time_signals_are_counted() {
    for stand in STANDS {
        let mut living = Living::start(stand, &[test_child(), "signals"]);
        let kills = format!("kill -{0} {1}; ", RTMIN + 3, living.pid).repeat(50);
        assert!(Command::new("sh").args(["-c", &kills]).status().unwrap().success());
        for _ in 0..50 {
            assert_eq!(living.line(), (RTMIN + 3).to_string());
        }
        living.signal(10);
        assert_eq!(living.line(), "10", "and not one more");
        assert_eq!(living.end(), 7);
    }
}

#[test]
fn a_signal_is_passed_on_at_once_during_a_storm_of_orphans() {
    let storm = r#"(while kill -0 $$ 2>/dev/null; do (true &); done) & exec "$0" signals"#;
    for stand in STANDS {
        let mut living = Living::start(stand, &["sh", "-c", storm, test_child()]);
        let mut times: Vec<Duration> = (0..9)
            .map(|_| {
                let sent = Instant::now();
                living.signal(15);
                assert_eq!(living.line(), "15");
                sent.elapsed()
            })
            .collect();
        times.sort();
        within(format!("{stand:?}: the median of {times:?}"), times[4], Duration::from_millis(100));
        assert_eq!(living.end(), 7);
    }
}
