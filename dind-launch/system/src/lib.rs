#![doc = include_str!("../README.md")]

mod child;
mod dispositions;
pub mod helper;
pub mod netlink;
pub mod proc;
pub mod process;
pub mod record_lock;
pub mod root;
pub mod signal;
pub mod supervisor;

pub use helper::Helper;
pub use process::Process;
pub use root::Root;
