//! The cells on Docker with crun.

use dind_tests::cell::{Mode, Storage, cell_on, ran_on};
use dind_tests::outer::{Docker, Outer, docker, version_of};
use std::sync::Arc;

fn cell(storage: Storage, mode: Mode, namespace: &str) {
    let version = docker(&["version", "--format", "{{.Server.Version}}"]).ok();
    ran_on(module_path!(), &format!("docker {version}, {}", version_of("crun")));
    let outer: Arc<dyn Outer> = Arc::new(Docker { runtime: Some("crun") });
    cell_on(&outer, &["--privileged", "--cgroupns", namespace], storage, mode, &[], |_, _| ());
}

#[test]
fn native_default() {
    cell(Storage::Native, Mode::Default("10.231"), "private");
}

#[test]
fn native_bridged() {
    cell(Storage::Native, Mode::Bridged("10.232"), "host");
}

#[test]
fn loop_default() {
    cell(Storage::Loop, Mode::Default("10.233"), "host");
}

#[test]
fn loop_bridged() {
    cell(Storage::Loop, Mode::Bridged("10.234"), "private");
}
