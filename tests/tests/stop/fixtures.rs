//! Inner containers that leave a mark for each signal that they get, and what reads the marks.

use dind_tests::outer::{LIMIT, Node, Share, docker, engine_pid, inner_image};
use dind_tests::{eventually, promise};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

/// The stop's own budget, `DIND_STOP_BUDGET`, where nothing else is set.
const BUDGET: Duration = Duration::from_secs(9);

/// Tests that take the machine for themselves, and those that may run beside others: how long a stop takes is looked at.
static MACHINE: RwLock<()> = RwLock::new(());

/// The machine, for a test that leaves nothing of it to others.
pub(crate) fn alone() -> RwLockWriteGuard<'static, ()> {
    MACHINE.write().unwrap_or_else(PoisonError::into_inner)
}

/// The machine, for a test that needs little of it.
pub(crate) fn beside_others() -> RwLockReadGuard<'static, ()> {
    MACHINE.read().unwrap_or_else(PoisonError::into_inner)
}

/// What an inner container does at its stop signal, once it has left a mark.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Then {
    /// It ends with this status at once.
    End(u8),
    /// It ends with 0 after so many seconds; a second signal would leave a second mark.
    EndAfter(u8),
    /// It goes on.
    Stay,
}

/// The script of an inner container of this name. Nothing but the shell runs at the signal: where processors are busy, a program
/// that writes the mark would take its time.
pub(crate) fn marking(name: &str, then: Then) -> String {
    let mark = format!("read up rest </proc/uptime; echo {name} $up >>/share/marks");
    match then {
        Then::End(status) => {
            format!("trap '{mark}; exit {status}' TERM; echo {name} >>/share/up; sleep infinity & wait")
        }
        Then::EndAfter(seconds) => format!(
            "trap '{mark}' TERM; echo {name} >>/share/up; sleep infinity & wait; sleep {seconds} & \
             while kill -0 $!; do wait $!; done 2>/dev/null; exit 0"
        ),
        Then::Stay => {
            format!("trap '{mark}' TERM; echo {name} >>/share/up; sleep infinity & while :; do wait; done")
        }
    }
}

/// The machine's clock that the marks are written by: seconds since its boot.
fn uptime() -> f64 {
    let text = fs::read_to_string("/proc/uptime").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

fn lines(share: &Share, name: &str) -> Vec<String> {
    let text = fs::read_to_string(share.path(name)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Forgets all marks, for another start of the same containers.
pub(crate) fn forget(share: &Share) {
    for name in ["up", "marks"] {
        let _ = fs::remove_file(share.path(name));
    }
}

/// Waits until as many inner containers have set their traps.
pub(crate) fn until_up(share: &Share, count: usize) {
    eventually(&format!("{count} inner containers are up"), LIMIT, || {
        (lines(share, "up").len() >= count).then_some(())
    });
}

/// Each container's marks, in the seconds of the machine's clock.
pub(crate) fn marks(share: &Share) -> BTreeMap<String, Vec<f64>> {
    let mut marks = BTreeMap::<_, Vec<f64>>::new();
    for line in lines(share, "marks") {
        let (name, time) = line.split_once(' ').unwrap();
        marks.entry(name.to_owned()).or_default().push(time.parse().unwrap());
    }
    marks
}

/// Starts an inner container that marks.
pub(crate) fn start_inner(node: &Node, name: &str, options: &[&str], then: Then) -> String {
    node.inner_run(&[&["--name", name], &Share::WITHIN[..], options].concat(), &marking(name, then))
}

/// Starts many at once, and waits until they are up.
pub(crate) fn start_many(node: &Node, share: &Share, inner: &[(String, Then)], options: &[&str]) {
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        // More would only wait for each other in the engine.
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some((name, then)) =
                    inner.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
                {
                    start_inner(node, name, options, *then);
                }
            });
        }
    });
    until_up(share, inner.len());
}

/// A stop, as it was seen from outside.
pub(crate) struct Stopped {
    /// The node's exit status.
    pub(crate) status: i32,
    /// How long `docker stop` took.
    pub(crate) took: Duration,
    /// When it was asked, in seconds of the machine's clock.
    pub(crate) asked: f64,
}

/// `docker stop`.
pub(crate) fn stop(node: &Node) -> Stopped {
    let asked = uptime();
    let (status, took) = node.stop();
    Stopped { status, took, asked }
}

/// Checks that each of these containers has had its stop signal, once, and within the first quarter of the budget.
pub(crate) fn assert_asked(share: &Share, names: &[&str], stopped: &Stopped) {
    let marks = marks(share);
    let not_once: Vec<_> = names
        .iter()
        .map(|name| (name, marks.get(*name).map_or(0, Vec::len)))
        .filter(|(_, signals)| *signals != 1)
        .collect();
    assert!(not_once.is_empty(), "of {} containers these had not one signal: {not_once:?}", names.len());
    assert_eq!(marks.len(), names.len(), "others were asked, too: {marks:?}");
    let latest = marks.values().flatten().copied().fold(stopped.asked, f64::max);
    promise("the last signal", Duration::from_secs_f64(latest - stopped.asked), BUDGET / 4);
}

/// The launcher's record of how the inner containers ended: each one's outcome. Where the engine was cut off, it is a part of
/// the error.
pub(crate) fn outcomes(record: &Value) -> BTreeMap<String, String> {
    let places =
        [&record["documents"]["reaper"]["result"]["stopped"], &record["error"]["details"]["stopped"]];
    let stopped = places.into_iter().find_map(Value::as_array);
    let stopped = stopped.unwrap_or_else(|| panic!("the record says nothing of the containers: {record}"));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    stopped.iter().map(|one| (text(&one["name"]), text(&one["outcome"]))).collect()
}

/// What the inner engine has written down of how its containers ended, read from its data root without it: `NAME STATUS`, and
/// `running` for one whose end it has not seen.
pub(crate) fn recorded_ends(node: &Node) -> BTreeMap<String, String> {
    let format = "{{range .Mounts}}{{if eq .Destination \"/var/lib/docker\"}}{{.Source}}{{end}}{{end}}";
    let volume = docker(&["inspect", "--format", format, &node.name]).ok();
    let containers = format!("/proc/{}/root{volume}/containers", engine_pid());
    let directories = fs::read_dir(&containers).unwrap_or_else(|error| panic!("{containers}: {error}"));
    let mut ends = BTreeMap::new();
    for directory in directories.flatten() {
        let text = fs::read(directory.path().join("config.v2.json")).unwrap();
        let container: Value = serde_json::from_slice(&text).unwrap();
        let state = &container["State"];
        let end = if state["Running"] == true { "running".to_owned() } else { state["ExitCode"].to_string() };
        ends.insert(container["Name"].as_str().unwrap().trim_start_matches('/').to_owned(), end);
    }
    ends
}

/// The names of the inner containers that run, sorted.
pub(crate) fn running(node: &Node) -> Vec<String> {
    let names = node.inner(&["ps", "--format", "{{.Names}}"]);
    let mut names: Vec<_> = names.lines().map(str::to_owned).collect();
    names.sort();
    names
}

/// Loads the inner image where no launcher has preloaded it.
pub(crate) fn load_inner_image(node: &Node) {
    if node.inner_docker(&["image", "inspect", &inner_image()]).status != 0 {
        node.exec(&["docker", "load", "--quiet", "--input", "/preload/inner.tar"]).ok();
    }
}
