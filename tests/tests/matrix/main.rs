//! The cells of the support table: each way to store with each way to connect.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use dind_tests::cell::{Mode, Storage, cell};

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
