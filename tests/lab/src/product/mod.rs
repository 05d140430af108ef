//! What is tested: [`binaries`], the four tools, and [`image`], the node image made of them.

pub mod binaries;
pub mod image;
