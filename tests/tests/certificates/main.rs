//! `dind-launch tls` on real file systems: a kill or an error at each system call, two at once, what cannot be written.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod directory;
mod sweep;
mod together;
