//! Nodes with images of seeds, on a real outer engine, with real inner ones: what their users do with images, over the lives of a
//! data root and of a seed.
//!
//! * `fixtures`: data roots, seeds, and what is compared of both
//! * `life`: what one does with images; `restart`: what is there after the next start
//! * `update`, `gone`: seeds that change between two lives, or are no longer given
//! * `several`: seeds that share layers, data roots with images of their own, nodes that share a seed
//! * `attempts`: what root in a node tries against a seed
//! * `stores`: engines that keep their images otherwise

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod attempts;
mod fixtures;
mod gone;
mod life;
mod restart;
mod several;
mod stores;
mod update;
