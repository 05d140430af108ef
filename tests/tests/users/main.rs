//! What people met who run Docker in Docker, one situation after the other.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod environment;
mod reload;
mod settings;
mod surroundings;
