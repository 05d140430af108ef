//! A shell script in the place of the launcher.

use crate::REPORTS_TERM;
use dind_tests::outer::{Node, Share, ShellImage, readme_entrypoint};
use dind_tests::promise;
use std::time::Duration;

#[test]
fn the_readme_s_shell_entrypoint_makes_a_node() {
    let image = ShellImage::build(&readme_entrypoint());
    let share = Share::new();
    let main = "docker load -qi /preload/inner.tar; touch /share/main; trap 'exit 42' TERM; while :; do sleep 0.05; done";
    let node =
        Node::of_image(&image.name, &["--privileged", "--volume", &share.volume()], &["sh", "-c", main]);
    share.until("main");
    node.inner_run(&["--volume", "/share:/share", "--hostname", "inner"], REPORTS_TERM);
    share.until("up-inner");
    let (status, took) = node.stop();
    assert_eq!(status, 42, "{}", node.log());
    promise("docker stop", took, Duration::from_secs(9));
    assert!(share.path("inner").exists(), "the inner container got TERM: {}", node.log());
}
