//! How the kernel is spoken to. Nothing in here knows a name of ours, of Docker's, or why something is changed.
//!
//! Read [`net`] first: links, addresses and routes as plain values. [`change`] is one change of them, [`route`] reads the one
//! and makes the other over rtnetlink, one `request` at a time, and `convert` translates between the two. [`arp`] and [`ndisc`]
//! find out who uses an address. [`nftables`] is the other conversation, about firewall rules. [`transient`] errors change no
//! decision in either.

pub mod arp;
pub mod change;
mod convert;
pub mod ndisc;
pub mod net;
pub mod nftables;
mod request;
pub mod route;
pub mod transient;

pub use convert::mac_bytes;
