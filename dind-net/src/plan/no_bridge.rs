//! A node without a bridge: inner containers are on user-defined networks, or on the node's own.

use crate::facts::Facts;
use crate::options::Options;
use crate::plan::connection::Connection;
use crate::plan::{default_mode, pool};
use dind_contract::{Fault, Warning};

/// Decides.
///
/// # Errors
/// Those of [`pool::pools`] and [`default_mode::set_uplink`].
pub fn decide(facts: &Facts, options: &Options, warnings: &mut Vec<Warning>) -> Result<Connection, Fault> {
    let shared = facts.host_network || facts.other_engine.is_some();
    let mut connection = Connection::without_bridge(&pool::pools(facts, options, warnings)?, shared);
    default_mode::set_uplink(facts, options, &mut connection)?;
    Ok(connection)
}
