//! nf_tables in its own encoding, over netlink.
//!
//! [`socket`] asks and has changes carried out, [`answer`] parses what comes back, [`batch`] collects the changes of one
//! transaction, `expr` is what rules consist of, and `message` the encoding of it all.

pub mod answer;
pub mod batch;
pub mod check;
pub(crate) mod expr;
pub(crate) mod message;
pub mod socket;
