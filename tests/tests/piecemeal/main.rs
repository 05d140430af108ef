//! The tools one at a time, and put together by hand: what a launcher does for a node, its parts do without it.
//!
//! * `alone`: each tool as the only one, in images that hold little else or nothing
//! * `entrypoint`: nodes whose entrypoint is one of the scripts in `dind-launch/examples/entrypoint`
//! * `documents`: such a script and the launcher get the same documents
//! * `stage`: a program of the user's between network and engine
//!
//! What they share is in `images`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod alone;
mod documents;
mod entrypoint;
mod images;
mod stage;
