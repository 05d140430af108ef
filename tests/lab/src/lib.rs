//! The test equipment: what suites, benchmarks and `cargo xtask up` run on. It needs no Docker on the machine.
//!
//! In the order in which to read it; each module uses those above it alone.
//!
//! * [`arch`]: the processors that there is something for
//! * [`workspace`]: where things are: the checkout, the build directory, the private engine's own places
//! * [`progress`]: what is being done, for people; the output of commands goes to logs
//! * [`machine`]: what is on the machine at one moment: processes, mounts, loop devices, control groups
//! * [`leftovers`]: what the tests left behind of all that, and what others have made meanwhile
//! * [`setup`]: what is missing on a fresh machine, and how it gets it
//! * [`engine`]: the engine that nodes run on: the machine's own, or a private one in namespaces of its own
//! * [`base`]: the image that ours is built on, bootstrapped from a package mirror where no registry answers
//! * [`toolchain`]: what compiles for a processor
//! * [`product`]: what is tested: the four static binaries, and the node image made of them
//! * [`outside`]: the images for engines of other makes
//! * [`clients`]: what people use a node with
//! * [`mesos`]: Mesos images, and a cluster of agents
//! * [`guest`]: virtual machines with a host's kernel and an engine of their own
//! * [`verdict`]: what a test program prints of its tests
#![allow(clippy::print_stdout, clippy::print_stderr)]

pub mod arch;
pub mod base;
pub mod clients;
pub mod engine;
pub mod guest;
pub mod leftovers;
pub mod machine;
pub mod mesos;
pub mod outside;
pub mod product;
pub mod progress;
pub mod setup;
pub mod toolchain;
pub mod verdict;
pub mod workspace;

pub use workspace::Workspace;

/// What went wrong, for people.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
