//! `dind-storage` with DIND_STORAGE_SEED. [`host`] is the fixture, `contents` what an engine would see.

mod contents;
mod file;
mod gone;
pub(crate) mod host;
mod merge;
mod release;
mod safety;
mod sweep;
