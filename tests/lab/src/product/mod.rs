//! What is tested: [`binaries`], the four tools, and [`image`], the node image made of them, with an engine of its own in an
//! [`archive`].

pub mod archive;
pub mod binaries;
pub mod image;
