#![doc = include_str!("../README.md")]

pub mod chain;
pub mod cli;
pub mod daemon_args;
pub mod daemon_json;
pub mod doctor;
pub mod engine;
pub mod facts;
pub mod fault;
pub mod log;
pub mod main_process;
pub mod mounts;
pub mod node;
pub mod options;
pub mod overview;
pub mod preload;
pub mod prepare;
pub mod ready;
pub mod record;
pub mod status;
pub mod stop;
pub mod tools;

use dind_contract::Tool;

/// Who we are in documents and on stderr.
pub const TOOL: Tool = Tool { name: "dind-launch", schema: "dind.launch/v1" };
