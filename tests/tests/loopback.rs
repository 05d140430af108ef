//! `dind-storage` on real loop devices. Every test has a mount namespace and a folder of its own, and ends by looking
//! for what was left: mounts, loop devices, temporary files.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "loopback/devices.rs"]
mod devices;
#[path = "loopback/faults.rs"]
mod faults;
#[path = "loopback/images.rs"]
mod images;
#[path = "loopback/life.rs"]
mod life;
#[path = "loopback/machine.rs"]
mod machine;
