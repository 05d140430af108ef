#![doc = include_str!("../README.md")]

pub mod boltdb;
pub mod build_info;
mod child;
mod clock;
mod dispositions;
pub mod docker_networks;
pub mod engine;
pub mod helper;
pub mod netlink;
mod packages;
pub mod proc;
pub mod process;
pub mod program;
pub mod record_lock;
pub mod root;
pub mod signal;
pub mod supervisor;

pub use clock::time_of_day;
pub use engine::EngineVersion;
pub use helper::Helper;
pub use packages::PackageManager;
pub use process::Process;
pub use root::Root;
