//! A Mesos agent with its own engine: [`images`] with Mesos in them, a [`cluster`] of such nodes, and a [`framework`]
//! to give it tasks.

pub mod cluster;
pub mod framework;
pub mod images;
