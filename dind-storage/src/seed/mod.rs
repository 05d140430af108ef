//! Seeds: images that many data roots share, read-only.
//!
//! A seed is a directory, or a file system in a file, laid out as the part of a data root that its images need, with a
//! [`manifest`] beside it. `dind-storage seal` makes one; DIND_STORAGE_SEED gives it to a data root.

pub mod manifest;
pub mod metadata;
