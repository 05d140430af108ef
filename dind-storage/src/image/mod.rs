//! The loop image: a file with a file system in it.
//!
//! In the order of its life: [`location`] is where it lies. [`create`] makes a new one, on a [`temporary`] file that gets
//! the final name last; [`mod@clone`] makes one of a [`golden`] one, with an [`identity`] of its own. [`inspect`] opens one that exists and looks at its [`superblock`]; [`lock`] takes it for this process
//! alone. [`check`] repairs it, [`grow`] makes it larger, [`trim`] gives free blocks of a sparse one back. [`space`] reserves
//! what a file needs, and [`programs`] finds mkfs and its like.

pub mod check;
pub mod clone;
pub mod create;
pub mod golden;
pub mod grow;
pub mod identity;
pub mod inspect;
pub mod location;
pub mod lock;
pub mod programs;
pub mod space;
pub mod superblock;
pub mod temporary;
pub mod trim;
