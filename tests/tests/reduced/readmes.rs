//! The profile that the image carries for the commands of the pages.

use dind_tests::outer::{docker, image};
use dind_tests::reduced::RunFlags;
use serde_json::Value;

#[test]
fn the_image_carries_the_profile_of_the_program() {
    let file = "/usr/share/dind/seccomp.json";
    let text = docker(&["run", "--rm", "--entrypoint", "cat", &image(), file]).ok();
    let carried: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(carried, RunFlags::ask().document["result"]["seccomp_profile"]);
}
