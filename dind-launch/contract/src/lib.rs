#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod cli;
pub mod document;
pub mod fault;
pub mod finish;
pub mod flags;
pub mod help;
pub mod step;
pub mod value;

pub use document::{
    Draft, Engine, Failed, Failure, Outcome, Report, StepReport, StepState, Steps, Tool, Warning,
};
pub use fault::{Code, ExitCode, Fault};
pub use finish::finish;
