//! What people met: situations that users of Docker in Docker reported, tried on real nodes.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod disk;
mod image_content;
mod image_recipe;
mod two_nodes;
