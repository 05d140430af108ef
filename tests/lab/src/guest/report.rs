//! What a guest reports on its serial line: versions, the tests, the end.

use crate::verdict::Verdicts;

/// What the kernel prints of a processor that does not come back from it (Documentation/admin-guide/lockup-watchdogs.rst).
const STUCK: &str = "watchdog: BUG: soft lockup";

/// What it prints of a fault while it handled one. Seen once, emulated, with the flags' register full of another one's bits.
const DOUBLE_FAULT: &str = "traps: PANIC: double fault";

/// What the guest reported on its serial line.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Version of its kernel.
    pub linux: String,
    /// Its processor, as the kernel names it.
    pub machine: String,
    /// Version of its engine.
    pub docker: String,
    /// What its tests printed.
    pub verdicts: Verdicts,
    /// What came of each attempt to get out of a container: place, attempt, and `YES`, `no` or `-`.
    pub escapes: Vec<[String; 3]>,
    /// What else that depends on; empty where the attempts did not come to their end.
    pub escapes_with: String,
    /// The programs' status, once all have ended.
    pub(super) status: Option<i32>,
    /// Why it did not get that far.
    pub(super) trouble: Option<String>,
    /// Whether its kernel stopped working, as far as can be seen from outside.
    pub(super) stuck: bool,
}

impl Report {
    /// Whether all programs ended, and well.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.status == Some(0)
    }

    /// What went wrong.
    #[must_use]
    pub fn trouble(&self) -> &str {
        self.trouble.as_deref().unwrap_or("failures")
    }

    /// Whether a second try may pass without hiding a failure.
    pub(super) fn may_be_the_emulator(&self) -> bool {
        self.stuck && self.verdicts.tests.iter().all(|(_, passed)| *passed)
    }

    /// Takes in the next line.
    pub(super) fn note(&mut self, line: &str) {
        self.stuck |= line.contains(STUCK) || line.contains(DOUBLE_FAULT);
        if let Some(word) = line.strip_prefix("vm: ") {
            let mut words = word.split(' ');
            let (subject, value) = (words.next(), words.next().unwrap_or_default());
            match subject {
                Some("linux") => value.clone_into(&mut self.linux),
                Some("machine") => value.clone_into(&mut self.machine),
                Some("docker") => value.clone_into(&mut self.docker),
                Some("end") => self.status = value.parse().ok(),
                _ => {}
            }
        } else if let Some(cell) = line.strip_prefix("escape: ") {
            let cell: Vec<_> = cell.split(" | ").map(str::to_owned).collect();
            self.escapes.extend(<[String; 3]>::try_from(cell));
        } else if let Some(with) = line.strip_prefix("escape-with: ") {
            with.clone_into(&mut self.escapes_with);
        } else {
            self.verdicts.note(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Report;

    #[test]
    fn the_serial_line_is_understood() {
        let mut report = Report::default();
        for line in [
            "vm: linux 6.1.0-50-cloud-amd64 (2.1 s)",
            "vm: machine aarch64 (2.1 s)",
            "vm: docker 20.10.24+dfsg1 (8.0 s)",
            "running 2 tests",
            "test limits ... ok",
            "test loops::grow ... FAILED",
            "escape: a node | clock | no",
            "escape-with: podman 4",
            "test result: FAILED. 1 passed; 1 failed",
            "vm: end 1",
        ] {
            report.note(line);
        }
        assert_eq!(
            [report.linux.as_str(), report.machine.as_str(), report.docker.as_str()],
            ["6.1.0-50-cloud-amd64", "aarch64", "20.10.24+dfsg1"]
        );
        let expected = [("limits".to_owned(), true), ("loops::grow".to_owned(), false)];
        assert_eq!(report.verdicts.tests, expected);
        assert_eq!(report.escapes, [["a node", "clock", "no"].map(str::to_owned)]);
        assert_eq!(report.escapes_with, "podman 4");
        assert!(!report.passed() && report.status == Some(1));
    }
    #[test]
    fn a_stuck_kernel_gets_another_try_unless_a_test_has_failed() {
        let mut report = Report::default();
        report.note("test limits ... ok");
        assert!(!report.may_be_the_emulator());
        report.note("[   44.609193] watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [runc:448]");
        assert!(report.may_be_the_emulator());
        report.note("test loops::grow ... FAILED");
        assert!(!report.may_be_the_emulator());
        let mut faulty = Report::default();
        faulty.note("[  179.826870] traps: PANIC: double fault, error_code: 0x0");
        assert!(faulty.may_be_the_emulator());
    }
}
