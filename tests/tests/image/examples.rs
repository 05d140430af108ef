//! Every example that the help and the man pages show is run as it is written.

use dind_tests::help::{examples, verbs};
use dind_tests::outer::{LIMIT, Network, Node, SLEEP, image, inner_image};
use dind_tests::{eventually, unique};
use std::collections::BTreeSet;
use std::process::Command;

/// The examples that are left to run, as tool and line.
struct Examples(BTreeSet<(&'static str, String)>);

impl Examples {
    fn all() -> Self {
        let tools = ["dind-storage", "dind-net", "dind-reaper", "dind-launch"];
        let of = |tool: &'static str| {
            verbs(tool)
                .into_iter()
                .flat_map(move |verb| examples(tool, &verb).into_iter().map(move |line| (tool, line)))
        };
        Self(tools.into_iter().flat_map(of).collect())
    }

    /// Takes those that begin so; there must be some.
    fn take(&mut self, beginning: &str) -> Vec<String> {
        let taken: Vec<_> = self.0.iter().filter(|(_, line)| line.starts_with(beginning)).cloned().collect();
        assert!(!taken.is_empty(), "no example begins with `{beginning}`: {:?}", self.0);
        self.0.retain(|example| !taken.contains(example));
        taken.into_iter().map(|(_, line)| line).collect()
    }

    /// Runs them in a node. Each succeeds.
    fn run(&mut self, node: &Node, beginnings: &[&str]) {
        for line in beginnings.iter().flat_map(|beginning| self.take(beginning)) {
            succeeds(node, &line);
        }
    }

    /// Those that wait for a signal get TERM, as by `docker stop`.
    fn run_until_signal(&mut self, node: &Node, beginning: &str) {
        for line in self.take(beginning) {
            // A tool that has taken over signals has blocked them.
            let waits = "until grep -q '^SigBlk:.*[1-9a-f]' /proc/$!/status; do sleep 0.1; done";
            succeeds(node, &format!("{line} & {waits}; kill -TERM $!; wait $!"));
        }
    }
}

fn succeeds(node: &Node, line: &str) {
    let ended = node.exec(&["sh", "-c", line]);
    assert_eq!(ended.status, 0, "{line}: {}{}", ended.stdout, ended.stderr);
}

#[test]
fn every_example_of_the_help_works_as_it_is_written() {
    let mut examples = Examples::all();
    let network = Network::new("10.121.0.0/16", "10.121.0.0/24", &[]);
    let options = ["--privileged", "--network", &network.name, "--entrypoint", "sleep"];
    let options = [&options[..], &["--volume", "/srv"]].concat();
    let bench = Node::of_image(&image(), &options, &["infinity"]);
    examples.run(&bench, &["dind-storage plan", "dind-storage apply", "dind-storage release"]);
    examples.run(&bench, &["dind-net plan", "dind-net probe", "dind-net apply", "dind-net release"]);
    examples.run(
        &bench,
        &["dind-launch prepare", "dind-launch plan", "dind-launch tls plan", "dind-launch tls apply"],
    );
    // An engine that no launcher knows, as of a shell entrypoint.
    let engine = "set -- $(dind-storage apply --output flags) $(dind-net apply --output flags); \
                  dockerd \"$@\" >/dev/null 2>&1 & until docker info >/dev/null 2>&1; do sleep 0.2; done; \
                  docker load --quiet --input /preload/inner.tar";
    succeeds(&bench, engine);
    let start = || succeeds(&bench, &format!("docker run --detach {} sleep 600", inner_image()));
    start();
    examples.run(&bench, &["dind-reaper plan", "dind-reaper reclaim", "dind-reaper exec"]);
    start();
    examples.run_until_signal(&bench, "dind-reaper watch");
    start();
    examples.run(&bench, &["dind-reaper stop --budget", "dind-reaper drain"]);
    start();
    // It ends with the engine.
    for (evidence, stop) in
        examples.take("dind-reaper evidence").iter().zip(examples.take("dind-reaper stop --as"))
    {
        let started = "until test -e /srv/evidence/*/containers; do sleep 0.1; done";
        succeeds(&bench, &format!("{evidence} & {started}; {stop}; wait $!"));
    }
    examples.run(&bench, &["dind-storage seal"]);

    let node = Node::start(&[], SLEEP);
    node.until_running();
    examples.run(
        &node,
        &[
            "dind-launch status",
            "dind-launch top",
            "dind-launch doctor",
            "dind-launch wait",
            "dind-launch drain",
        ],
    );
    examples.run(&node, &["dind-launch reload", "dind-launch preload", "dind-launch enter"]);
    let held = Node::start(&["--env", "DIND_HOLD=true"], &[]);
    succeeds(&held, "dind-launch wait");
    examples.run(&held, &["dind-launch claim"]);
    for line in examples.take("docker run") {
        let name = unique("node");
        // Removes it, whatever becomes of it.
        let node = Node::named(name.clone());
        let line = line.replace("dind:dev", &image()).replace("--name node", &format!("--name {name}"));
        let mut shell = Command::new("sh");
        let ended = shell.args(["-c", &line]).env("DOCKER_HOST", dind_tests::outer::host()).output().unwrap();
        assert!(ended.status.success(), "{line}: {ended:?}");
        if line.contains("--detach") {
            eventually("the node is ready", LIMIT, || {
                (node.exec(&["docker", "info"]).status == 0).then_some(())
            });
        }
    }
    assert!(examples.0.is_empty(), "not run: {:?}", examples.0);
}
