//! What people met who run Docker in Docker, one situation after the other.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod disk;
mod environment;
mod image_content;
mod image_recipe;
mod reload;
mod settings;
mod surroundings;
mod two_nodes;
