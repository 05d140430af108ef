//! `dind-storage` on real loop devices. Every test has a mount namespace and a directory of its own, and ends by looking
//! for what was left: mounts, loop devices, temporary files.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod clones;
mod crowd;
mod devices;
mod grow;
mod health;
mod holders;
mod images;
mod lifecycle;
mod limits;
mod machine;
mod refusals;
mod seal;
mod seeds;
mod strace;
mod sweep;
mod tree;
