//! A release that has to wait for others names them.

use crate::machine::{Machine, document, fails, steps};
use dind_tests::eventually;
use std::fs;
use std::process::Command;
use std::time::Duration;

#[test]
fn a_process_in_the_data_root_is_named_and_nothing_is_unmounted() {
    let machine = Machine::new();
    machine.apply();
    let mut holder = Command::new("sleep").arg("600").current_dir(machine.root()).spawn().unwrap();
    let refused = fails(&mut machine.storage("release"), "still-in-use", 74);
    let causes = refused["error"]["causes"].to_string();
    assert!(causes.contains(&format!("process {} (sleep)", holder.id())), "{causes}");
    assert_eq!(machine.mounts().len(), 1);
    holder.kill().unwrap();
    holder.wait().unwrap();
    machine.release();
    machine.assert_clean();
}

#[test]
fn a_process_that_holds_the_mount_in_its_own_namespace_is_named() {
    let machine = Machine::new();
    machine.apply();
    let mut holder = Command::new("unshare").args(["--mount", "sleep", "600"]).spawn().unwrap();
    eventually("the holder has its namespace", Duration::from_secs(5), || {
        fs::read_to_string(format!("/proc/{}/comm", holder.id()))
            .is_ok_and(|comm| comm == "sleep\n")
            .then_some(())
    });
    let output = machine.storage("release").output().unwrap();
    let refused = document(&output);
    assert_eq!((refused["error"]["code"].as_str(), output.status.code()), (Some("still-in-use"), Some(74)));
    let causes = refused["error"]["causes"].to_string();
    assert!(causes.contains(&format!("process {} (sleep)", holder.id())), "{causes}");
    assert_eq!(steps(&refused), ["unmount-image:done"]);
    holder.kill().unwrap();
    holder.wait().unwrap();
    machine.assert_clean();
}
