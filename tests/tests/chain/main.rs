//! The launcher with stub tools and a stub engine: real processes, real signals. Each launcher is PID 1 of namespaces of its
//! own, with a /run and a cgroup directory of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod claim;
mod engine;
mod evidence;
mod forms;
mod limits;
mod mesos;
mod order;
mod process_one;
mod refusals;
mod reload;
mod restart;
mod signals;
mod site;
mod stages;
mod status;
mod terminal;
mod wait;
