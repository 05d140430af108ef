//! What the suites share. This file: the binaries under test, the names of what a test makes, and bounds on time.
//!
//! - `manifest`: manifests of Kubernetes.
//! - `captured`, `readme`: what the tools' own tests check.
//! - `outer`: the outer engine, its networks and volumes, and the nodes on it.
//! - `outside`: a name server in the place of the outside world.
//! - `store`: a made-up data root with images.
//! - `pages`: the Markdown files, and the blocks in them.
//! - `cell`: a cell of the support table. `reduced`: a node without `--privileged`. Several suites run these.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

pub mod captured;
pub mod cell;
pub mod help;
pub mod manifest;
pub mod outer;
pub mod outside;
pub mod pages;
#[cfg(feature = "readme")]
pub mod readme;
pub mod reduced;
pub mod rootless;
pub mod store;
pub mod terminal;

use std::fmt::Display;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The beginning of every name that a test makes on the machine: containers, images, cgroups, temporary directories. The
/// number of the test's process follows. Whatever is called so is ours, and nothing else is.
pub const PREFIX: &str = "dind-test-";

/// The same for network links, whose names have room for 15 characters (IFNAMSIZ).
pub const LINK_PREFIX: &str = "dt";

/// The factor on every bound that [`eventually`] and [`within`] set.
const SLOWNESS: &str = "DIND_TEST_SLOWNESS";

/// The set of `doctor --run-flags` whose flags nodes get in the place of `--privileged`.
const RUN_FLAGS: &str = "DIND_TEST_RUN_FLAGS";

/// A binary under test, by path: a wrapper of cargo's would put it into other namespaces.
///
/// # Panics
/// The suites are not run by xtask, which builds the binaries first.
#[must_use]
pub fn bin(name: &str) -> PathBuf {
    let directory = std::env::var_os("DIND_BIN_DIR").expect("DIND_BIN_DIR is unset: run `cargo xtask test`");
    let path = PathBuf::from(directory).join(name);
    assert!(path.is_file(), "{} is missing: run `cargo xtask test`", path.display());
    path
}

/// A copy of a binary under test that anybody may run: others than root may not be able to enter the build directory.
///
/// Another program copies it. A descriptor of ours that is open for writing could be inherited by what another test starts
/// just then, and a file that is open for writing cannot be executed.
///
/// # Panics
/// It cannot be copied.
#[must_use]
pub fn copy_of(name: &str, directory: &Path) -> PathBuf {
    let copy = directory.join(name);
    assert!(Command::new("cp").arg(bin(name)).arg(&copy).status().unwrap().success());
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
    copy
}

/// Takes everything out of a command's environment that might change what the tools do: a developer's own `DOCKER_HOST`,
/// `LOG` or `MESOS_…`.
pub fn bare_environment(command: &mut Command) -> &mut Command {
    let kept = ["PATH", SLOWNESS].map(|name| (name, std::env::var_os(name)));
    command.env_clear().envs(kept.into_iter().filter_map(|(name, value)| Some((name, value?))))
}

/// A name on the machine that nobody else has.
#[must_use]
pub fn unique(what: &str) -> String {
    format!("{PREFIX}{}-{what}-{}", std::process::id(), next())
}

/// A name for a network link that nobody else has.
#[must_use]
pub fn unique_link() -> String {
    format!("{LINK_PREFIX}{}n{}", std::process::id(), next())
}

fn next() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A temporary directory, gone with its handle. Its path leads through no symbolic link: the tools refuse those.
///
/// # Panics
/// It cannot be made.
#[must_use]
pub fn scratch() -> TempDir {
    scratch_in(std::env::temp_dir())
}

/// The same on a disk: /tmp may be memory, where some of what the tools do does not work or cannot be seen.
///
/// # Panics
/// It cannot be made.
#[must_use]
pub fn scratch_on_disk() -> TempDir {
    scratch_in("/var/tmp")
}

fn scratch_in(parent: impl AsRef<Path>) -> TempDir {
    let parent = parent.as_ref().canonicalize().unwrap();
    let prefix = format!("{PREFIX}{}-", std::process::id());
    let directory = tempfile::Builder::new().prefix(&prefix).tempdir_in(parent).unwrap();
    // Root of a node may be another user outside.
    if std::env::var_os(RUN_FLAGS).is_some() {
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
    }
    directory
}

/// A bound for a machine that has nothing else to do, times `DIND_TEST_SLOWNESS`.
#[must_use]
pub fn stretched(limit: Duration) -> Duration {
    static FACTOR: OnceLock<f64> = OnceLock::new();
    limit.mul_f64(*FACTOR.get_or_init(|| {
        let text = std::env::var(SLOWNESS).unwrap_or_default();
        factor(&text).unwrap_or_else(|| panic!("invalid {SLOWNESS} value `{text}`: expected a number >= 1"))
    }))
}

fn factor(text: &str) -> Option<f64> {
    let text = if text.is_empty() { "1" } else { text };
    text.parse().ok().filter(|factor: &f64| factor.is_finite() && *factor >= 1.0)
}

/// Such a bound for a program that takes whole seconds.
#[must_use]
pub fn seconds(limit: u64) -> String {
    stretched(Duration::from_secs(limit)).as_secs().to_string()
}

/// Operation and target of each step of a document, all of which have to be in this state.
///
/// # Panics
/// One is in another state.
#[must_use]
pub fn steps(document: &serde_json::Value, state: &str) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let steps = document["steps"].as_array().unwrap().iter();
    let steps = steps.inspect(|step| assert_eq!(step["state"], state, "{document}"));
    steps.map(|step| (text(&step["op"]), text(&step["target"]))).collect()
}

/// How often what is repeated is repeated: `DIND_TEST_ROUNDS`, or as given.
#[must_use]
pub fn rounds(usual: usize) -> usize {
    number("DIND_TEST_ROUNDS", usual)
}

/// A number that the one who runs the suite may set.
///
/// # Panics
/// It is set to something else.
#[must_use]
pub fn number(variable: &str, usual: usize) -> usize {
    let text = std::env::var(variable).unwrap_or_default();
    let parsed = if text.is_empty() { Some(usual) } else { text.parse().ok() };
    parsed.unwrap_or_else(|| panic!("invalid {variable} value `{text}`: expected a number"))
}

/// Waits until `holds` gives something, and panics when the stretched `limit` is over. For states that come without an
/// event to wait for. Asking takes at most half of the time: most questions start programs, which need the processors of
/// what they ask for.
///
/// # Panics
/// It did not come true in time.
pub fn eventually<T>(what: &str, limit: Duration, mut holds: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + stretched(limit);
    loop {
        let asked = Instant::now();
        if let Some(value) = holds() {
            return value;
        }
        assert!(Instant::now() < deadline, "not within {:?}: {what}; {}", stretched(limit), load());
        std::thread::sleep(asked.elapsed().clamp(Duration::from_millis(10), Duration::from_millis(500)));
    }
}

/// Checks that something took less than the stretched `limit`. For what is quick when the code is right; a machine that has
/// other work to do is not the code's fault. What users are promised is for [`promise`].
///
/// # Panics
/// It took longer.
pub fn within(what: impl Display, took: Duration, limit: Duration) {
    assert!(took < stretched(limit), "{what} took {took:?}, not within {:?}; {}", stretched(limit), load());
}

/// Checks that something took less than users are promised, such as a stop within `DIND_STOP_BUDGET`. No factor makes
/// this bound longer.
///
/// # Panics
/// It took longer.
pub fn promise(what: impl Display, took: Duration, limit: Duration) {
    assert!(took < limit, "{what} took {took:?}, and {limit:?} are promised; {}", load());
}

/// How busy the machine is, for whoever wonders why something took so long.
fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let load = load.split(' ').next().unwrap_or_default();
    format!(
        "the load average is {load} on {processors} processors (a larger {SLOWNESS} stretches the bounds)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_factor_is_a_number_of_at_least_one() {
        assert_eq!((factor(""), factor("1"), factor("2.5")), (Some(1.0), Some(1.0), Some(2.5)));
        for text in ["0", "0.9", "-3", "inf", "NaN", "two"] {
            assert_eq!(factor(text), None, "{text}");
        }
    }

    #[test]
    #[should_panic(expected = "not within")]
    fn what_never_comes_true_fails() {
        eventually("nothing", Duration::ZERO, || None::<()>);
    }

    #[test]
    #[should_panic(expected = "are promised")]
    fn a_broken_promise_fails() {
        promise("this", Duration::from_secs(2), Duration::from_secs(2));
    }

    #[test]
    fn names_say_whose_they_are_and_are_used_once() {
        assert!(unique("node").starts_with(PREFIX) && unique("node") != unique("node"));
        assert!(unique_link().starts_with(LINK_PREFIX) && unique_link().len() <= 15, "{}", unique_link());
    }
}
