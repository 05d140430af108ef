//! The node's stop, and the engine that comes back: every inner container has its stop signal in time and once, at any number,
//! under load, and with an engine that hangs; afterwards those run again that would after a reboot.
//!
//! * `many`: sixty on busy processors, and as many as a machine holds
//! * `grace`: who has how long
//! * `hangs`: without the help of dockerd or containerd
//! * `links`: the network of containers that have ended
//! * `signals`: stop signals other than TERM
//! * `policies`: which containers run after the next start
//! * `entrypoint`: the shell entrypoint of the README
//!
//! What they share is in `fixtures`: scripts that leave marks, and nodes whose marks are read.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod entrypoint;
mod fixtures;
mod grace;
mod hangs;
mod links;
mod many;
mod policies;
mod signals;
