//! The cells on podman with runc.

use dind_tests::cell::{Mode, Storage, cell_on, ran_on};
use dind_tests::outer::{Outer, Podman};
use std::sync::Arc;

fn cell(storage: Storage, mode: Mode, namespace: &str) {
    let podman = Podman::with("runc");
    ran_on(module_path!(), &podman.versions());
    let outer: Arc<dyn Outer> = podman;
    cell_on(&outer, &["--privileged", "--cgroupns", namespace], storage, mode, &[], |_, _| ());
}

#[test]
fn native_default() {
    cell(Storage::Native, Mode::Default("10.235"), "private");
}

#[test]
fn native_bridged() {
    cell(Storage::Native, Mode::Bridged("10.236"), "host");
}

#[test]
fn loop_default() {
    cell(Storage::Loop, Mode::Default("10.237"), "host");
}

#[test]
fn loop_bridged() {
    cell(Storage::Loop, Mode::Bridged("10.238"), "private");
}
