//! What test programs print of their tests.

use std::collections::BTreeMap;

/// How a program says on which engine a module's nodes run: `outer: MODULE = ENGINE`. Written by `dind_tests::cell::ran_on`.
const OUTER: &str = "outer: ";

/// What programs have printed so far.
#[derive(Clone, Debug, Default)]
pub struct Verdicts {
    /// The tests with their modules, such as `podman_crun::native_default`, and whether each passed.
    pub tests: Vec<(String, bool)>,
    /// Modules whose nodes run on an engine of another make, and that engine: `podman 4.3.1, crun 1.8.1`.
    pub outer: BTreeMap<String, String>,
    /// A test whose verdict comes on a line of its own: something was printed behind its name.
    pending: Option<String>,
}

impl Verdicts {
    /// Takes in the next line.
    pub fn note(&mut self, line: &str) {
        if let Some((before, engine)) = line.split_once(OUTER) {
            self.outer
                .extend(engine.split_once(" = ").map(|(module, it)| (module.to_owned(), it.to_owned())));
            self.pending = test(before).map(|(name, _)| name.to_owned());
        } else if let Some((name, verdict)) = test(line) {
            self.tests.push((name.to_owned(), verdict == "ok"));
        } else if ["ok", "FAILED"].contains(&line) {
            self.tests.extend(self.pending.take().map(|name| (name, line == "ok")));
        }
    }
}

/// `test NAME ... VERDICT`
fn test(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("test ")?.split_once(" ... ")
}

#[cfg(test)]
mod tests {
    use super::Verdicts;

    #[test]
    fn verdicts_and_engines_are_read_whether_tests_run_at_once_or_one_after_the_other() {
        let mut verdicts = Verdicts::default();
        for line in [
            "running 3 tests",
            "outer: podman_runc = podman 4.3.1, runc 1.1.5",
            "test podman_runc::native_default ... ok",
            "test podman_crun::native_default ... outer: podman_crun = podman 4.3.1, crun 1.8.1",
            "FAILED",
            "test alone ... FAILED",
            "ok",
        ] {
            verdicts.note(line);
        }
        let expected =
            [("podman_runc::native_default", true), ("podman_crun::native_default", false), ("alone", false)];
        assert_eq!(verdicts.tests, expected.map(|(name, passed)| (name.to_owned(), passed)));
        let outer: Vec<_> = verdicts.outer.into_iter().collect();
        let expected =
            [("podman_crun", "podman 4.3.1, crun 1.8.1"), ("podman_runc", "podman 4.3.1, runc 1.1.5")];
        assert_eq!(outer, expected.map(|(module, engine)| (module.to_owned(), engine.to_owned())));
    }
}
