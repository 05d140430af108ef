//! Seeds: images that many data roots share, read-only.
//!
//! A seed is a directory, or a file system in a file, laid out as the part of a data root that its images need, with a
//! [`manifest`] beside it; [`metadata`] is its digest. `dind-storage seal` makes one; DIND_STORAGE_SEED gives it to a data root.
//!
//! There, [`source`] checks a seed, [`held`] reads what the data root holds, [`record`] what earlier starts have brought, and
//! [`mod@decide`] says what has to change; [`mod@look`] does all of that. [`mod@merge`] makes the changes, by [`files`], which can take
//! them back, and whose unfinished work is in [`remains`]; [`bind`] mounts the layers' files, [`mod@attach`] a seed that is a file. [`facts`] is what a plan sees of it,
//! [`report`] what a document says.

pub mod attach;
pub mod bind;
pub mod decide;
pub mod facts;
pub mod files;
pub mod held;
pub mod look;
pub mod manifest;
pub mod merge;
pub mod metadata;
pub mod options;
pub mod record;
pub mod remains;
pub mod report;
pub mod source;
