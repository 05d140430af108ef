//! Processes that lose their parent become the init's, and none stays a zombie.

use crate::harness::{Living, SOON, STANDS, Stand, children, test_child, words};
use dind_tests::eventually;
use std::process::Command;

#[test]
fn a_thousand_orphans_leave_no_zombie() {
    // The last orphan stays: it shows that orphans become the init's children. With the command there are two.
    let script = "exec 3<&0; for i in $(seq 1000); do (true &); done; (cat <&3 &); echo ready; exec cat";
    for stand in STANDS {
        let living = Living::start(stand, &["sh", "-c", script]);
        let what = format!("{stand:?}: all orphans but the last are reaped");
        eventually(&what, SOON, || (children(living.pid).len() == 2).then_some(()));
        assert_eq!(living.end(), 0);
    }
}

#[test]
fn children_that_ended_before_we_became_the_init_are_reaped() {
    let output = Command::new(test_child())
        .arg("zombie")
        .args(words(Stand::Other))
        .args(["sh", "-c", "echo $$; cat /proc/$PPID/task/$PPID/children"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (own, children) = text.split_once('\n').unwrap();
    assert_eq!(children.trim(), own, "the init's only child is its command");
}
