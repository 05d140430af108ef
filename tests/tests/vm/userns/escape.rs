//! What root can do to the machine, from each kind of node and from containers in it. Each attempt is judged by what the machine
//! sees of it, or by a secret of the machine's that it brings out; and each works for the control, a privileged container of
//! the machine's root. The guest is thrown away, so nothing in it is spared.

use super::attempts::{ATTEMPTS, Attempt, SECRET, Seen};
use super::place::Place;
use dind_tests::cell::SLOW;
use dind_tests::outer::{Node, docker, image, inner_image};
use dind_tests::reduced::{RUNC, RunFlags};
use std::fs;
use std::io::Write;
use std::process::Command;

/// Of every place. What lies in `/host` is a file of the machine's root; in `/tools`, what scripts call.
const OPTIONS: [&str; 10] = [
    "--volume",
    "/run/escape/host:/host",
    "--volume",
    "/run/escape/tools:/tools:ro",
    "--memory",
    "500m",
    "--pids-limit",
    "900",
    "--ulimit",
    "nofile=60000:60000",
];

/// Lines that begin so are the rows of the README's table.
const ROW: &str = "escape:";

/// What the machine has that scripts try to get at.
fn set_the_scene() {
    fs::create_dir_all("/run/escape/host").unwrap();
    fs::create_dir_all("/run/escape/tools").unwrap();
    for file in ["/run/escape/host/secret", "/root/escape"] {
        fs::write(file, SECRET).unwrap();
        assert!(Command::new("chmod").args(["600", file]).status().unwrap().success());
    }
    fs::copy("/bin/busybox", "/run/escape/tools/busybox").unwrap();
    super::attempts::set_the_scene();
}

/// Tries everything in a place; returns what worked.
fn tried(place: &mut Place) -> Vec<&'static str> {
    let mut worked = Vec::new();
    for Attempt { name, script, seen } in ATTEMPTS {
        // A line that does not end is not shown before the next one begins.
        fs::write("/dev/kmsg", format!("{SECRET}\n")).unwrap();
        if let Seen::Effect(holds, _) = seen {
            assert!(!holds(place), "`{name}` holds before it is tried in {}", place.name);
        }
        let output = place.run(script);
        let is_seen = match seen {
            Seen::Secret => output.contains(SECRET),
            Seen::Effect(holds, undo) => {
                let is_seen = holds(place);
                undo();
                assert!(!holds(place) || name.starts_with("the node's limit"), "`{name}` is not undone");
                is_seen
            }
        };
        worked.extend(is_seen.then_some(*name));
        // Not by a macro, whose output is kept from a test that passes.
        let yes = if is_seen { "YES" } else { "no" };
        let row = format!("{ROW} {} | {name} | {yes}\n", place.name);
        std::io::stderr().write_all(row.as_bytes()).unwrap();
    }
    worked
}

fn node(set: &str) -> Node {
    let run_flags = RunFlags::ask();
    let flags = run_flags.of(set);
    let flags: Vec<_> = flags.iter().map(String::as_str).chain(SLOW).chain(OPTIONS).collect();
    let node = Node::of_image(&image(), &flags, &["sleep", "infinity"]);
    node.until_running();
    node
}

/// An inner container that may do what these options give it.
fn inside(node: &Node, name: &'static str, options: &[&str]) -> Place {
    let shared = [
        "--volume",
        "/host:/host",
        "--volume",
        "/tools:/tools:ro",
        "--memory",
        "100m",
        "--pids-limit",
        "100",
    ];
    let id = node.inner_run(&[&shared[..], options].concat(), "exec sleep 100000");
    Place::inside(name, node, &id)
}

#[test]
fn root_of_a_node_in_a_user_namespace_gets_nowhere() {
    set_the_scene();
    let everything: Vec<_> = ATTEMPTS.iter().map(|attempt| attempt.name).collect();

    let flags = ["--privileged", "--userns", "host", "--pid", "host", "--cgroupns", "host"];
    let command = ["--entrypoint", "sleep"];
    let control = Node::of_image(&image(), &[&RUNC[..], &flags, &command, &OPTIONS].concat(), &["100000"]);
    assert_eq!(
        tried(&mut Place::of("control", &control.name)),
        everything,
        "each attempt works where it should"
    );
    drop(control);
    super::attempts::restore_the_boundary_of_cgroups();

    let privileged = node("privileged");
    let worked = tried(&mut Place::of("privileged", &privileged.name));
    assert!(worked.contains(&"disk: read") && worked.contains(&"kernel module"), "{worked:?}");
    drop(privileged);

    let reduced = node("reduced");
    let worked = tried(&mut Place::of("reduced", &reduced.name));
    let out_of_reach = ["disk: read", "disk: write", "kernel module", "clock", "/dev/kmsg"];
    assert!(worked.iter().all(|name| !out_of_reach.contains(name)), "the README says otherwise: {worked:?}");
    drop(reduced);

    let userns = node("userns");
    assert_eq!(tried(&mut Place::of("userns", &userns.name)), [""; 0]);
    assert_eq!(tried(&mut inside(&userns, "userns, inner", &[])), [""; 0]);
    let more = ["--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined"];
    assert_eq!(tried(&mut inside(&userns, "userns, inner with SYS_ADMIN", &more)), [""; 0]);
    let refused = userns.inner_docker(&["run", "--rm", "--privileged", &inner_image(), "true"]);
    super::attempts::clear_the_scene();
    assert_ne!(refused.status, 0, "a privileged one has no place in the table: {refused:?}");
    assert_eq!(docker(&["inspect", "--format", "{{.State.Running}}", &userns.name]).ok(), "true");
}
