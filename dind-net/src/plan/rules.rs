//! Whether our own firewall rules can be made, and those of bridged mode.

use crate::facts::Facts;
use crate::fault;
use crate::firewall::content::Tables;
use crate::firewall::isolation::Isolation;
use crate::options::Options;
use crate::plan::connection::Connection;
use crate::plan::firewall::Firewall;
use crate::values::Mark;
use dind_contract::Warning;

/// Why the kernel does not take our rules; nothing where it may. Nobody may ask without privilege: then a plan hopes, and
/// apply finds out.
#[must_use]
pub fn why_no_rules(facts: &Facts) -> Option<String> {
    let unavailable = facts.iptables.nft_tables == Tables::Unavailable;
    let refused = facts.rules_refused.as_ref().map(|error| format!("the kernel refuses the rules: {error}"));
    refused.or_else(|| unavailable.then(|| "the kernel has no nf_tables".to_owned()))
}

/// In bridged mode, a way out for user-defined networks. It has to be in the backend that dockerd writes to.
#[must_use]
pub fn decide_isolation(
    facts: &Facts,
    options: &Options,
    connection: &Connection,
    firewall: &Firewall,
) -> (Option<Isolation>, Option<Warning>) {
    let Some((bridge, range)) = connection.bridged.clone().filter(|_| firewall.writes()) else {
        return (None, None);
    };
    let why = match firewall.is_in_nf_tables() {
        true => why_no_rules(facts),
        false => Some("the engine's firewall rules are in ip_tables".to_owned()),
    };
    let mark = firewall.is_native().then(|| options.accept_mark.unwrap_or(Mark::OURS));
    let Some(why) = why else { return (Some(Isolation { bridge, range, mark }), None) };
    let warning = Warning::new(
        fault::USER_NETWORKS_CUT_OFF,
        format!("containers on user-defined networks reach the node, and nothing beyond it: {why}"),
        "use the default bridge or host network, or set DIND_NET_IPTABLES=nft where the kernel has nf_tables",
    );
    (None, Some(warning))
}
