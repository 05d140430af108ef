//! Jenkins: an agent as the main process, as its own user.

use crate::{Built, example};
use dind_tests::outer::{Node, docker, image, inner_image};
use dind_tests::scratch;
use std::fs;

/// In the place of the agent's program: says who runs it with what, uses the engine as a build would, and ends when it is asked to.
const AGENT: &str = r#"#!/bin/sh
set -eu
trap 'echo asked to stop; exit 143' TERM
echo "user $(id -un), home $HOME, $JENKINS_URL as $JENKINS_AGENT_NAME"
docker run --rm INNER echo built
while :; do sleep 1 & wait $!; done
"#;

#[test]
fn the_agent_runs_as_its_own_user_and_uses_the_engine() {
    let directory = scratch();
    fs::write(directory.path().join("jenkins-agent"), AGENT.replace("INNER", &inner_image())).unwrap();
    // As Jenkins' images for agents are, with a node image put on them.
    let base = format!(
        "FROM {}\nRUN useradd --create-home --uid 1000 jenkins\nCOPY jenkins-agent /usr/local/bin/\n\
         RUN chmod 0755 /usr/local/bin/jenkins-agent\n",
        image()
    );
    fs::write(directory.path().join("Dockerfile"), base).unwrap();
    let base = Built::of(directory.path(), &[]);
    let agent = Built::of(&example("jenkins"), &["--build-arg", &format!("NODE_IMAGE={}", base.0)]);

    let variables = ["--env", "JENKINS_URL=http://jenkins.test", "--env", "JENKINS_AGENT_NAME=one"];
    let node = Node::of_image(&agent.0, &[&["--privileged"][..], &variables].concat(), &[]);
    node.until_running();
    let printed = || docker(&["logs", &node.name]).stdout;
    let lines = dind_tests::eventually("the agent has used the engine", dind_tests::outer::LIMIT, || {
        let lines: Vec<_> = printed().lines().map(str::to_owned).collect();
        (lines.len() >= 2).then_some(lines)
    });
    assert_eq!(lines, ["user jenkins, home /home/jenkins, http://jenkins.test as one", "built"]);
    assert_eq!(node.stop().0, 143);
    assert!(printed().ends_with("asked to stop"), "{}", printed());
}
