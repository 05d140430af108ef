//! `dind-reaper` and a real engine. A stop stops everything that an engine runs, so each test has one of its own, inside a node.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod engine;
mod exec;
mod stop;
mod watch;
