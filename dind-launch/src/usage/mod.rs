//! What a node may use, and what it and its inner containers do use: asked of the kernel and of the engine, and changed by nobody.
//!
//! * `limits`: what the container may use at most; [`node`]: what it uses
//! * [`disk`]: the file system of the data root
//! * [`engine`]: the inner containers, by the engine's API

pub mod disk;
pub mod engine;
mod limits;
pub mod node;

pub use limits::Limits;
