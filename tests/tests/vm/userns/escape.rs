//! What root can do to the machine, from each kind of node and from containers in it. Each attempt is judged by what the machine
//! sees of it, or by a secret of the machine's that it brings out; and each works for the control, a privileged container of
//! the machine's root. The guest is thrown away, so nothing in it is spared.

use super::attempts::{self, Attempt, Seen};
use super::machine::SECRET;
use super::no_boundary;
use super::place::Place;
use super::podman;
use super::scene::{OPTIONS, Scene, restore_the_boundary_of_cgroups};
use dind_tests::cell::SLOW;
use dind_tests::outer::{Node, docker, image, inner_image};
use dind_tests::reduced::{RUNC, RunFlags};
use std::fs;
use std::io::Write;

/// Lines that begin so are cells of the README's table: place, attempt, `YES` or `no`; `-` where the place cannot be had.
const CELL: &str = "escape:";

/// The same for what the table was made with, which only a whole run prints.
const WITH: &str = "escape-with:";

/// Shows a line even of a test that passes, whose output by macros is kept.
fn show(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// Tries everything in a place; returns what worked.
pub(in super::super) fn tried(mut place: Place) -> Vec<&'static str> {
    let mut worked = Vec::new();
    for Attempt { name, script, seen } in attempts::all() {
        // A line that does not end is not shown before the next one begins.
        fs::write("/dev/kmsg", format!("{SECRET}\n")).unwrap();
        if let Seen::Effect(holds, _) = seen {
            assert!(!holds(&place), "`{name}` holds before it is tried in {}", place.name);
        }
        let output = place.run(script);
        let is_seen = match seen {
            Seen::Secret => output.contains(SECRET),
            Seen::Effect(holds, undo) => {
                let is_seen = holds(&place);
                undo();
                assert!(!holds(&place) || name.starts_with("the node's limit"), "`{name}` is not undone");
                is_seen
            }
        };
        worked.extend(is_seen.then_some(*name));
        let yes = if is_seen { "YES" } else { "no" };
        show(&format!("{CELL} {} | {name} | {yes}", place.name));
    }
    worked
}

fn node(set: &str, more: &[&str]) -> Node {
    let run_flags = RunFlags::ask();
    let flags = run_flags.of(set);
    let flags: Vec<_> = flags.iter().map(String::as_str).chain(SLOW).chain(OPTIONS).collect();
    let node = Node::of_image(&image(), &[&flags, more].concat(), &["sleep", "infinity"]);
    node.until_running();
    node
}

/// An inner container that may do what these options give it.
pub(in super::super) fn inside(node: &Node, name: &'static str, options: &[&str]) -> Result<Place, String> {
    let shared = ["--volume", "/host:/host", "--volume", "/tools:/tools:ro"];
    let limits = ["--memory", "100m", "--pids-limit", "100"];
    let command = [&inner_image(), "sleep", "100000"];
    let run = [&["run", "--detach"], &shared[..], &limits, options, &command].concat();
    let ended = node.inner_docker(&run);
    if ended.status == 0 { Ok(Place::inside(name, node, &ended.stdout)) } else { Err(ended.stderr) }
}

#[test]
fn root_of_a_node_in_a_user_namespace_gets_nowhere() {
    let scene = Scene::set();
    let everything: Vec<_> = attempts::all().map(|attempt| attempt.name).collect();

    let flags = ["--privileged", "--userns", "host", "--pid", "host", "--cgroupns", "host"];
    let command = ["--entrypoint", "sleep"];
    let control = Node::of_image(&image(), &[&RUNC[..], &flags, &command, &OPTIONS].concat(), &["100000"]);
    assert_eq!(tried(Place::of("control", &control.name)), everything, "each attempt works where it should");
    drop(control);
    restore_the_boundary_of_cgroups();

    let privileged = node("privileged", &[]);
    let worked = tried(Place::of("privileged", &privileged.name));
    assert!(worked.contains(&"disk: read") && worked.contains(&"kernel module"), "{worked:?}");
    drop(privileged);

    let reduced = node("reduced", &[]);
    let worked = tried(Place::of("reduced", &reduced.name));
    let out_of_reach = ["disk: read", "disk: write", "kernel module", "clock", "/dev/kmsg"];
    assert!(worked.iter().all(|name| !out_of_reach.contains(name)), "the README says otherwise: {worked:?}");
    drop(reduced);

    let userns = node("userns", &[]);
    assert_eq!(tried(Place::of("userns", &userns.name)), [""; 0]);
    assert_eq!(tried(inside(&userns, "container in `userns`", &[]).unwrap()), [""; 0]);
    // What a node in the node would have.
    let more = ["--cap-add", "SYS_ADMIN", "--cap-add", "NET_ADMIN", "--cap-add", "SYS_PTRACE"];
    let more = [&more[..], &["--security-opt", "seccomp=unconfined"]].concat();
    assert_eq!(tried(inside(&userns, "container with `SYS_ADMIN` in `userns`", &more).unwrap()), [""; 0]);
    let refused = inside(&userns, "", &["--privileged"]).map(|place| place.name);
    assert!(refused.is_err(), "a privileged one needs a place of its own in the table");
    no_boundary::shown(&userns);
    drop(userns);

    // The second sysfs is what lets runc mount one for a privileged container (`mount_too_revealing` of fs/namespace.c).
    let all = ["--cap-add", "ALL", "--security-opt", "seccomp=unconfined", "--volume", "/sys:/mnt/sys"];
    let all = node("userns", &all);
    assert_eq!(tried(Place::of("`userns` with all capabilities", &all.name)), [""; 0]);
    let name = "privileged container in it";
    match inside(&all, name, &["--privileged"]) {
        Ok(place) => assert_eq!(tried(place), [""; 0]),
        Err(error) => {
            show(&format!("no {name}: {error}"));
            everything.iter().for_each(|attempt| show(&format!("{CELL} {name} | {attempt} | -")));
        }
    }
    assert_eq!(docker(&["inspect", "--format", "{{.State.Running}}", &all.name]).ok(), "true");
    drop(all);
    podman_nodes();
    drop(scene);
    show(&format!("{WITH} {}", podman::versions()));
}

/// podman's, in ranges of users of their own. A privileged one has the machine's devices, whatever its users are.
fn podman_nodes() {
    let alone = podman::alone();
    let run_flags = RunFlags::ask();
    let flags = podman::flags(&run_flags);
    let flags: Vec<_> = flags.iter().map(String::as_str).chain(OPTIONS).collect();
    let node = podman::Node::start(&flags);
    node.until_running();
    assert_eq!(tried(Place::of_podman("podman `userns`", &node)), [""; 0]);
    drop(node);
    let flags = ["--userns", "auto", "--privileged", "--env", "DIND_ALLOW_HOST_DEVICES=true"];
    let node = podman::Node::start(&[&flags[..], &OPTIONS].concat());
    node.until_running();
    let worked = tried(Place::of_podman("podman `--userns=auto --privileged`", &node));
    assert!(worked.contains(&"disk: read") && worked.contains(&"disk: write"), "{worked:?}");
    drop(node);
    drop(alone);
}
