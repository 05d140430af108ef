//! Nodes of the built image on a real outer engine, with real inner containers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod examples;
mod health;
mod input;
mod network;
mod shell;
mod stop;
mod storage;

/// What an inner container does that ends on TERM and leaves a file that says so.
const REPORTS_TERM: &str = "trap 'echo TERM > /share/$HOSTNAME; exit 0' TERM; touch /share/up-$HOSTNAME; while :; do sleep 0.05; done";
