//! Nodes without `--privileged`: the node that a set of flags of `doctor --run-flags` makes.

use crate::eventually;
use crate::outer::{LIMIT, Node, SLEEP, address_of, image, inner_image, on_host};
use crate::pages::Page;
use serde_json::Value;

pub use crate::outer::{RUNC, RunFlags};

/// Starts a node of the image under test with these flags alone.
#[must_use]
pub fn start(flags: &[String], options: &[&str]) -> Node {
    let flags: Vec<&str> = flags.iter().map(String::as_str).chain(options.iter().copied()).collect();
    Node::of_image(&image(), &flags, SLEEP)
}

/// The set makes a whole node: limits hold, ports are published, nothing is missing, and it stops in order.
///
/// # Panics
/// It does not.
pub fn makes_a_whole_node(set: &str) {
    let node = start(&RunFlags::ask().of(set), &[]);
    node.until_running();
    // The limits as the limited one sees them itself, whichever version its cgroups have; and that one of them holds.
    let script = "echo hello
        cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max \
            /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null
        for n in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait";
    let limits = ["docker", "run", "--rm", "--memory", "64m", "--pids-limit", "4"];
    let crowd = node.exec(&[&limits[..], &[&inner_image(), "sh", "-c", script]].concat());
    assert_eq!(crowd.stdout, format!("hello\n{}\n4", 64 << 20), "{crowd:?}");
    assert!(crowd.stderr.contains("can't fork"), "the limit on processes does not hold: {crowd:?}");

    // A port that is published to the node's network, seen from the outer host.
    node.inner_run(
        &["--publish", "8080:80", "--stop-signal", "KILL"],
        "mkdir /w; echo page > /w/index.html; exec httpd -f -p 80 -h /w",
    );
    let url = format!("http://{}:8080/", address_of(&node.name));
    eventually("the published port answers", LIMIT, || {
        let page = on_host(&["busybox", "wget", "-q", "-O", "-", &url]);
        (page.stdout == "page").then_some(())
    });

    let script =
        "dind-launch status --healthy >/dev/null && dind-launch doctor >/dev/null && dind-launch prepare";
    let again: Value = serde_json::from_str(&node.exec(&["sh", "-c", script]).ok()).unwrap();
    let writable = again["steps"].as_array().unwrap().iter().filter(|step| step["op"] == "remount-writable");
    assert_eq!(writable.count(), 0, "all is writable already: {again}");
    assert_eq!(node.stop().0, 143, "{}", node.log());
}

/// The commands of a page that begin and go on so, for the image under test and a node of a name that the shell has in `$node`.
///
/// # Panics
/// The page does not show them.
#[must_use]
pub fn commands(page: &Page, first: &str, then: &str) -> String {
    let block = page.blocks.iter().find(|block| block.text.starts_with(first) && block.text.contains(then));
    let mut block = block.expect("the page shows it").text.replace("dind:dev", &image());
    for before in ["--name", "exec", "stop"] {
        block = block.replace(&format!("{before} node"), &format!("{before} $node"));
    }
    block
}
