//! All of our firewall rules together, and the transaction that makes them.
//!
//! They are in a table of our own, `ip dind`, two of them in Docker's `DOCKER-USER`, and those for IPv6 and for frames in `ip6 dind` and
//! `bridge dind`. A table has no process that could die, and ends with its network namespace.

use crate::firewall::content::Content;
use crate::firewall::dns::Dns;
use crate::firewall::hairpin::Hairpin;
use crate::firewall::isolation::Isolation;
use crate::firewall::names::{DOCKER_USER, FILTER, TABLE};
use crate::firewall::{clamp, closed};
use crate::netlink::nftables::batch::Batch;
use nix::libc::{NFPROTO_BRIDGE, NFPROTO_IPV6};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What the rules do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Inner containers reach the embedded name server.
    pub dns: Option<Dns>,
    /// TCP between inner networks and others uses segments that the smaller MTU of the two carries.
    pub clamp: bool,
    /// User-defined networks of a bridged node reach the outer network.
    #[serde(default)]
    pub isolation: Option<Isolation>,
    /// Forwarding of IPv4 is ours, and passes what goes to inner networks or comes from them.
    #[serde(default)]
    pub forwarding: bool,
    /// The same of IPv6.
    #[serde(default)]
    pub forwarding6: bool,
    /// Frames that the outer bridge sends back do not confuse that of a bridged node.
    #[serde(default)]
    pub hairpin: Option<Hairpin>,
}

/// For people: `table ip dind: dns, clamp`.
impl fmt::Display for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [
            self.dns.as_ref().map(|_| "dns"),
            self.clamp.then_some("clamp"),
            self.isolation.as_ref().map(|_| "isolation"),
            self.forwarding.then_some("forwarding"),
        ];
        let words: Vec<_> = words.into_iter().flatten().collect();
        let tables = [
            (!words.is_empty()).then(|| format!("table ip {TABLE}: {}", words.join(", "))),
            self.forwarding6.then(|| format!("table ip6 {TABLE}: forwarding")),
            self.hairpin.is_some().then(|| format!("table bridge {TABLE}: hairpin")),
        ];
        f.write_str(&tables.into_iter().flatten().collect::<Vec<_>>().join("; "))
    }
}

impl Rules {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The transaction that removes all of ours that exists, and makes these in its place. Every removal, be it of what the
    /// same transaction has made, costs a wait (see [`crate::firewall::transaction::Changed`]): nothing is removed on suspicion.
    #[must_use]
    pub fn transaction(&self, content: &Content) -> Batch {
        let mut batch = Batch::default();
        if content.has(TABLE) {
            batch.remove_table(TABLE);
        }
        if content.filter_is_for_our_rules() {
            batch.remove_table(FILTER);
        } else {
            for rule in content.our_rules() {
                batch.remove_rule(FILTER, DOCKER_USER, rule.handle);
            }
        }
        if !self.is_empty() {
            self.write(&mut batch);
        }
        batch.of_family(NFPROTO_IPV6);
        if content.has6(TABLE) {
            batch.remove_table(TABLE);
        }
        if self.forwarding6 {
            batch.table(TABLE);
            closed::write(&mut batch);
        }
        batch.of_family(NFPROTO_BRIDGE);
        if content.has_bridge(TABLE) {
            batch.remove_table(TABLE);
        }
        if let Some(hairpin) = &self.hairpin {
            hairpin.write(&mut batch);
        }
        batch
    }

    fn write(&self, batch: &mut Batch) {
        batch.table(TABLE);
        if let Some(dns) = &self.dns {
            dns.write(batch);
        }
        if self.clamp {
            clamp::write(batch);
        }
        if let Some(isolation) = &self.isolation {
            isolation.write(batch);
        }
        if self.forwarding {
            closed::write(batch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::nftables::answer::{Rule, Table};

    #[test]
    fn only_what_is_ours_and_exists_is_removed() {
        let rule = |handle, comment: Option<&str>| Rule { handle, comment: comment.map(str::to_owned) };
        let content = |tables: &[&str], filter: &[&str], docker_user: Vec<Rule>| Content {
            generation: 1,
            tables: tables.iter().map(|name| Table { family: 2, name: (*name).to_owned() }).collect(),
            filter: filter.iter().map(|name| (*name).to_owned()).collect(),
            docker_user,
            ..Content::default()
        };
        let ours = || vec![rule(7, Some("dind")), rule(8, Some("dind"))];
        let mut with_ipv6 = content(&["dind"], &[], vec![]);
        with_ipv6.tables.push(Table { family: 10, name: "dind".to_owned() });
        for (content, removals) in [
            (with_ipv6, "dind dind"),
            (content(&[], &[], vec![]), ""),
            (content(&["nat"], &[], vec![]), ""),
            (content(&["dind"], &[], vec![]), "dind"),
            (content(&["dind", "filter"], &["DOCKER-USER"], ours()), "dind filter"),
            (content(&["filter"], &["DOCKER-USER"], vec![]), ""),
            (content(&["filter"], &["DOCKER-USER"], vec![rule(6, None)]), ""),
            (content(&["filter"], &["DOCKER-USER", "FORWARD"], ours()), "7 8"),
            (
                content(&["dind", "filter"], &["DOCKER-USER"], [vec![rule(6, None)], ours()].concat()),
                "dind 7 8",
            ),
        ] {
            let range = "10.77.1.0/24".parse().unwrap();
            let isolation = Isolation { bridge: "docker0".to_owned(), range, mark: None };
            let wanted = Rules { isolation: Some(isolation), ..Rules::default() };
            assert_eq!(wanted.transaction(&content).removals(), removals, "{content:?}");
            assert_eq!(Rules::default().transaction(&content).removals(), removals, "{content:?}");
            assert_eq!(Rules::default().transaction(&content).is_empty(), removals.is_empty(), "{content:?}");
        }
    }
}
