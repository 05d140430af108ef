//! Whether our own firewall rules can be made, and those of bridged mode.

use crate::facts::Facts;
use crate::facts::original::Bridging;
use crate::fault;
use crate::firewall::content::Tables;
use crate::firewall::hairpin::Hairpin;
use crate::firewall::isolation::Isolation;
use crate::netlink::arp::Mac;
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

/// In bridged mode, what an outer bridge in hairpin mode sends back.
#[must_use]
pub fn decide_hairpin(facts: &Facts, bridging: Option<&Bridging>) -> (Option<Hairpin>, Option<Warning>) {
    let Some(bridging) = bridging else { return (None, None) };
    let hairpin = hardware_address(&bridging.mac).map(|mac| Hairpin { uplink: bridging.uplink.clone(), mac });
    let refused =
        facts.hairpin_refused.as_ref().map(|error| format!("the kernel refuses the rules: {error}"));
    let other = || hairpin.is_none().then(|| format!("{} is no address of Ethernet", bridging.mac));
    let Some(why) = why_no_rules(facts).or(refused).or_else(other) else { return (hairpin, None) };
    let warning = Warning::new(
        fault::HAIRPIN_UNFILTERED,
        format!("inner containers get no answers where the outer bridge has hairpin mode on: {why}"),
        "switch it off there (`hairpinMode` of CNI's plugin bridge), or leave DOCKER_NETWORK_OFFSET unset",
    );
    (None, Some(warning))
}

/// The six bytes of what `ip link` shows.
fn hardware_address(text: &str) -> Option<Mac> {
    let bytes = text.split(':').map(|byte| u8::from_str_radix(byte, 16).ok());
    bytes.collect::<Option<Vec<_>>>()?.try_into().ok()
}
