//! The engine on TCP: certificates of the node's own, real clients with and without them, and clear text where it is asked for.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod clear_text;
mod client;
mod kept;
mod mutual;
mod shared;
