#![doc = include_str!("../README.md")]

mod dispositions;
pub mod helper;
pub mod proc;
pub mod root;
pub mod supervisor;

pub use helper::Helper;
pub use root::Root;
