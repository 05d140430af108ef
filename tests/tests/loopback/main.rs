//! `dind-storage` on real loop devices. Every test has a mount namespace and a folder of its own, and ends by looking
//! for what was left: mounts, loop devices, temporary files.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "loopback/crowd.rs"]
mod crowd;
#[path = "loopback/devices.rs"]
mod devices;
#[path = "loopback/grow.rs"]
mod grow;
#[path = "loopback/health.rs"]
mod health;
#[path = "loopback/holders.rs"]
mod holders;
#[path = "loopback/images.rs"]
mod images;
#[path = "loopback/life.rs"]
mod life;
#[path = "loopback/limits.rs"]
mod limits;
#[path = "loopback/machine.rs"]
mod machine;
#[path = "loopback/refusals.rs"]
mod refusals;
#[path = "loopback/sweep.rs"]
mod sweep;
