//! What our firewall rules mean. How they are encoded and sent is up to [`crate::netlink::nftables`].
//!
//! [`rules`] holds all that is wanted, and computes the transaction that makes it so. Its parts are [`dns`], `clamp`,
//! [`isolation`], `closed` and [`hairpin`], each with its rules as `nft` shows them; [`forwarding`] is a chain by itself,
//! ahead of iptables. [`content`] is what there is,
//! [`transaction`] changes it, [`state`] the file that remembers what we made, and [`names`] what everything is called.

pub(crate) mod clamp;
pub(crate) mod closed;
pub mod content;
pub mod dns;
pub mod forwarding;
pub mod hairpin;
pub mod isolation;
pub mod names;
pub mod rules;
pub mod state;
pub mod transaction;
