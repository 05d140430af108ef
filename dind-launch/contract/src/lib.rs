#![doc = include_str!("../README.md")]

pub mod cli;
mod dispositions;
pub mod document;
pub mod engine;
pub mod fault;
pub mod finish;
pub mod helper;
pub mod root;
pub mod supervisor;
pub mod value;

pub use document::{Draft, Failed, Failure, Outcome, Report, State, Step, Steps, Tool, Warning};
pub use engine::Engine;
pub use fault::{Code, Exit, Fault};
pub use finish::{finish, finish_with};
pub use root::Root;
