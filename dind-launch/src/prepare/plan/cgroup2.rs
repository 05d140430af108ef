//! Cgroups v2: the container's own tree at the usual place, writable and nested.

use super::super::facts::{CGROUPS, Caller, Facts, LEAF, Unified};
use super::super::mount::PLAIN;
use super::super::report::Prepared;
use super::super::step::{Change, Filesystem, PrepareStep};
use super::{Plan, alias, is_host};
use dind_system::proc::mount_at;
use nix::mount::MsFlags;
use std::path::Path;

pub(super) fn plan(facts: &Facts, caller: Caller) -> Plan {
    let mut result = Prepared { cgroup_version: "v2".to_owned(), ..Prepared::default() };
    if is_host(facts) {
        // The host's tree stays the host's: to nest that one would move the host's own processes.
        result.cgroup_namespace = "host".to_owned();
        return Plan { result, steps: Vec::new(), warnings: Vec::new() };
    }
    let mounted = mount_at(&facts.mounts, CGROUPS);
    let mut steps = Vec::new();
    if facts.own_namespace {
        steps.push(PrepareStep::needed(Change::Mount {
            filesystem: Filesystem::Cgroup2,
            point: CGROUPS.into(),
            flags: PLAIN | MsFlags::MS_RELATIME,
            options: String::new(),
            over: true,
        }));
    } else if mounted.is_some_and(|mount| mount.read_only) {
        steps.push(PrepareStep::needed(Change::RemountWritable(CGROUPS.into())));
    }
    // The tree that is mounted over is another one: what its files say is nothing to us.
    let tree = facts.unified.as_ref().filter(|_| !facts.own_namespace);
    let is_nested = tree.is_some_and(Unified::is_nested);
    steps.push(PrepareStep::needed(Change::NestCgroups).unless(is_nested));
    let own = own_path(facts);
    let above_leaf = own.strip_suffix(&format!("/{LEAF}")).unwrap_or(own);
    steps.extend(alias(facts, caller, Path::new(CGROUPS), above_leaf));

    let is_private = !facts.own_namespace && mounted.is_some_and(|mount| mount.root == Path::new("/"));
    result.cgroup_namespace = if is_private { "private" } else { "own" }.to_owned();
    result.controllers = tree.map(|tree| tree.controllers.clone()).unwrap_or_default();
    Plan { result, steps, warnings: Vec::new() }
}

fn own_path(facts: &Facts) -> &str {
    let unified = facts.cgroups.iter().find(|cgroup| cgroup.controllers.is_empty());
    unified.map_or("/", |cgroup| &cgroup.path)
}

/// Whether the mounted tree begins at our own cgroup, or at the one above the leaf where an earlier run has put us. The
/// kernel's true root cgroup has no `cgroup.type`.
pub(super) fn is_ours(facts: &Facts) -> bool {
    let mounted = mount_at(&facts.mounts, CGROUPS).map_or(Path::new("/"), |mount| &mount.root);
    let own = Path::new(own_path(facts));
    let is_root = facts.unified.as_ref().is_none_or(|unified| unified.kind.is_none());
    !is_root && (own == mounted || own == mounted.join(LEAF))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dind_system::proc::{parse_cgroups, parse_mounts};

    fn facts(mounted: &str, own: &str) -> Facts {
        Facts {
            mounts: parse_mounts(&format!("1 0 0:1 {mounted} {CGROUPS} ro - cgroup2 cgroup rw\n")),
            cgroups: parse_cgroups(&format!("0::{own}\n")),
            unified: Some(Unified { kind: Some("domain".to_owned()), ..Unified::default() }),
            ..Facts::default()
        }
    }

    #[test]
    fn our_own_tree_is_told_from_the_hosts() {
        let root = Facts { unified: Some(Unified::default()), ..facts("/", "/") };
        assert!(!is_ours(&root), "the true root has no cgroup.type");
        for (mounted, own, ours) in [
            ("/", "/", true),
            ("/", "/init", true),
            ("/", "/docker/abc", false),
            ("/docker/abc", "/docker/abc", true),
            ("/docker/abc", "/docker/abc/init", true),
            ("/../..", "/", false),
        ] {
            assert_eq!(is_ours(&facts(mounted, own)), ours, "{mounted} {own}");
        }
    }

    #[test]
    fn the_hosts_tree_is_left_alone_where_no_namespace_is_to_be_had() {
        let found = plan(&facts("/", "/docker/abc"), Caller::Launcher);
        assert_eq!((found.result.cgroup_namespace.as_str(), found.steps.len()), ("host", 0));
    }
}
