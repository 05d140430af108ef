//! Cgroups v1: one mount to a hierarchy, each writable, under all the names that programs look for.

use super::super::facts::{CGROUPS, Caller, Facts, is_above, is_of};
use super::super::mount::PLAIN;
use super::super::report::Prepared;
use super::super::step::{Change, Filesystem, PrepareStep};
use super::{Plan, alias, is_host};
use dind_contract::Warning;
use dind_system::proc::{Cgroup, mount_at};
use nix::mount::MsFlags;
use std::path::{Path, PathBuf};

/// A hierarchy of `/proc/self/cgroup`: its mount option, such as `cpu,cpuacct` or `name=systemd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hierarchy<'a>(&'a str);

impl Hierarchy<'_> {
    /// The directory's usual name.
    fn name(&self) -> &str {
        self.0.strip_prefix("name=").unwrap_or(self.0)
    }

    /// The kernel takes a name alone only for a hierarchy that exists; `none` says that it has no controllers.
    fn mount_option(&self) -> String {
        if self.0.starts_with("name=") { format!("none,{}", self.0) } else { self.0.to_owned() }
    }

    /// Other names that programs look for: each controller alone, a pair the other way round, `name=systemd`.
    fn aliases(&self) -> Vec<String> {
        let parts: Vec<&str> = self.0.split(',').collect();
        let mut aliases: Vec<String> = match parts.as_slice() {
            [first, second] => vec![format!("{second},{first}")],
            _ => Vec::new(),
        };
        if parts.len() > 1 {
            aliases.extend(parts.iter().map(|part| (*part).to_owned()));
        }
        if self.0.starts_with("name=") {
            aliases.push(self.0.to_owned());
        }
        aliases
    }
}

/// The v1 hierarchies, each with our path in it; the unified one is not of them.
fn hierarchies(cgroups: &[Cgroup]) -> impl Iterator<Item = (Hierarchy<'_>, &str)> {
    let named = cgroups.iter().filter(|cgroup| !cgroup.controllers.is_empty());
    named.map(|cgroup| (Hierarchy(&cgroup.controllers), cgroup.path.as_str()))
}

/// Whether our cgroup namespace begins at our own cgroups.
pub(super) fn is_ours(facts: &Facts) -> bool {
    hierarchies(&facts.cgroups).all(|(_, path)| path == "/")
}

pub(super) fn plan(facts: &Facts, caller: Caller) -> Plan {
    let mut steps = Vec::new();
    let tree = mount_at(&facts.mounts, CGROUPS);
    match tree {
        None => steps.push(PrepareStep::needed(Change::Mount {
            filesystem: Filesystem::Tmpfs,
            point: CGROUPS.into(),
            flags: PLAIN,
            options: "mode=0755".to_owned(),
            over: false,
        })),
        Some(mount) if mount.read_only => {
            steps.push(PrepareStep::needed(Change::RemountWritable(CGROUPS.into())));
        }
        Some(_) => {}
    }
    // The host's own tree, mounted in as a volume: our links do not belong there.
    let is_borrowed = facts.mounts.iter().any(|mount| mount.kind == "cgroup" && is_above(mount));
    let has_name = |name: &String| tree.is_some() && facts.names.contains(name);
    for (hierarchy, path) in hierarchies(&facts.cgroups) {
        let (point, step) = mounted(hierarchy, facts);
        steps.extend(step);
        steps.extend(alias(facts, caller, &point, path));
        let missing = hierarchy.aliases().into_iter().filter(|name| !is_borrowed && !has_name(name));
        steps.extend(missing.map(|name| {
            let link = Path::new(CGROUPS).join(name);
            PrepareStep::needed(Change::LinkCgroup { link, to: hierarchy.name().to_owned() })
        }));
    }
    let mut warnings = Vec::new();
    let names = || hierarchies(&facts.cgroups).map(|(hierarchy, _)| hierarchy.name().to_owned());
    if !names().any(|name| name.split(',').any(|controller| controller == "devices")) {
        warnings.push(Warning::new(
            "cgroup-devices-missing",
            "device access of inner containers cannot be restricted: the kernel has no devices hierarchy here",
            "mount one on the host; otherwise inner containers may use every device of the node",
        ));
    }
    let namespace = match (is_ours(facts), is_host(facts)) {
        (true, _) => "private",
        (false, false) => "own",
        (false, true) => "host",
    };
    let result = Prepared {
        cgroup_version: "v1".to_owned(),
        cgroup_namespace: namespace.to_owned(),
        controllers: names().collect(),
    };
    Plan { result, steps, warnings }
}

/// Where a hierarchy is, or will be, mounted, and the step that makes it usable there.
fn mounted(hierarchy: Hierarchy<'_>, facts: &Facts) -> (PathBuf, Option<PrepareStep>) {
    let usual_point = Path::new(CGROUPS).join(hierarchy.name());
    // Its usual place first: a script that called us before has aliases of it further down.
    let usual = mount_at(&facts.mounts, &usual_point).filter(|mount| is_of(mount, hierarchy.0));
    let found = usual.or_else(|| facts.mounts.iter().rfind(|mount| is_of(mount, hierarchy.0)));
    match found {
        // If it began above our cgroup, inner containers would be put beside the node.
        Some(mount) if !is_above(mount) => {
            let step = PrepareStep::needed(Change::RemountWritable(mount.point.clone()));
            (mount.point.clone(), mount.read_only.then_some(step))
        }
        _ => {
            let step = PrepareStep::needed(Change::Mount {
                filesystem: Filesystem::Cgroup,
                point: usual_point.clone(),
                flags: PLAIN | MsFlags::MS_RELATIME,
                options: hierarchy.mount_option(),
                over: mount_at(&facts.mounts, &usual_point).is_some(),
            });
            (usual_point, Some(step))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dind_system::proc::parse_cgroups;

    #[test]
    fn names_of_hierarchies() {
        let cgroups = parse_cgroups("12:cpu,cpuacct:/docker/abc\n3:name=systemd:/\n2:memory:/x\n0::/init\n");
        let found: Vec<_> = hierarchies(&cgroups).map(|(hierarchy, _)| hierarchy).collect();
        let names: Vec<_> = found.iter().map(Hierarchy::name).collect();
        assert_eq!(names, ["cpu,cpuacct", "systemd", "memory"]);
        assert_eq!(found[0].aliases(), ["cpuacct,cpu", "cpu", "cpuacct"]);
        assert_eq!(found[1].aliases(), ["name=systemd"]);
        assert_eq!(found[1].mount_option(), "none,name=systemd");
        assert!(found[2].aliases().is_empty());
    }
}
