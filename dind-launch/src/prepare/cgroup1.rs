//! Cgroups v1: one mount to a hierarchy, each writable, under all the names that programs look for.

use super::{CGROUPS, PLAIN, Prepared, Work, failed, make_folder, namespace};
use dind_contract::{Fault, StepState, Warning};
use dind_system::Root;
use dind_system::proc::{Cgroup, Mount, mount_at};
use nix::mount::MsFlags;
use std::os::unix::fs::symlink;
use std::path::Path;

/// A hierarchy of `/proc/self/cgroup`: its mount option, such as `cpu,cpuacct` or `name=systemd`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hierarchy(String);

impl Hierarchy {
    /// The folder's usual name.
    fn folder(&self) -> &str {
        self.0.strip_prefix("name=").unwrap_or(&self.0)
    }

    /// Whether a mount is of this hierarchy.
    fn is(&self, mount: &Mount) -> bool {
        mount.kind == "cgroup"
            && self.0.split(',').all(|option| mount.options.iter().any(|have| have == option))
    }

    /// The kernel takes a name alone only for a hierarchy that exists; `none` says that it has no controllers.
    fn mount_option(&self) -> String {
        if self.0.starts_with("name=") { format!("none,{}", self.0) } else { self.0.clone() }
    }

    /// Other names that programs look for: each controller alone, a pair the other way round, `name=systemd`.
    fn aliases(&self) -> Vec<String> {
        let parts: Vec<&str> = self.0.split(',').collect();
        let mut aliases: Vec<String> = match parts.as_slice() {
            [_] => Vec::new(),
            [first, second] => vec![format!("{second},{first}")],
            _ => Vec::new(),
        };
        if parts.len() > 1 {
            aliases.extend(parts.iter().map(|part| (*part).to_owned()));
        }
        if self.0.starts_with("name=") {
            aliases.push(self.0.clone());
        }
        aliases
    }
}

/// The v1 hierarchies, each with our path in it; the unified one is not of them.
fn hierarchies(cgroups: Vec<Cgroup>) -> Vec<(Hierarchy, String)> {
    let named = cgroups.into_iter().filter(|cgroup| !cgroup.controllers.is_empty());
    named.map(|cgroup| (Hierarchy(cgroup.controllers), cgroup.path)).collect()
}

pub(super) fn prepare(root: &Root, work: &mut Work) -> Result<Prepared, Fault> {
    let hierarchies = hierarchies(namespace::cgroups(root)?);
    let foreign = hierarchies.iter().any(|(_, path)| path != "/");
    let namespace = match foreign {
        false => "private",
        true if namespace::enter(root, work)? => "own",
        true => "host",
    };
    match mount_at(&work.mounts, CGROUPS) {
        None => {
            make_folder(Path::new(CGROUPS))?;
            work.mount("tmpfs", CGROUPS, PLAIN, "mode=0755")?;
        }
        Some(mount) if mount.read_only => work.remount_writable(CGROUPS)?,
        Some(_) => {}
    }
    // The host's own tree, mounted in as a volume: no link of ours belongs into its folder.
    let borrowed = work.mounts.iter().any(|mount| mount.kind == "cgroup" && namespace::is_above(&mount.root));
    let mut controllers = Vec::new();
    for (hierarchy, path) in hierarchies {
        let point = one(&hierarchy, work)?;
        namespace::alias(&point, &path, work)?;
        if !borrowed {
            link(&hierarchy, work)?;
        }
        controllers.push(hierarchy.folder().to_owned());
    }
    if !controllers.iter().any(|name| name.split(',').any(|controller| controller == "devices")) {
        work.warnings.push(Warning::new(
            "cgroup-devices-missing",
            "cannot confine devices: the kernel has no devices hierarchy here",
            "mount one on the host; inner containers may otherwise use every device of the node",
        ));
    }
    Ok(Prepared { cgroup_version: "v1".to_owned(), cgroup_namespace: namespace.to_owned(), controllers })
}

/// Makes a hierarchy usable; returns where it is mounted.
fn one(hierarchy: &Hierarchy, work: &mut Work) -> Result<String, Fault> {
    let folder = Path::new(CGROUPS).join(hierarchy.folder());
    let point = folder.display().to_string();
    // Its usual place first: a script that called us before has aliases of it further down.
    let usual = mount_at(&work.mounts, &point).filter(|mount| hierarchy.is(mount));
    let mounted = usual.or_else(|| work.mounts.iter().rev().find(|mount| hierarchy.is(mount))).cloned();
    let point = match mounted {
        // Above it, inner containers would be put beside the node.
        Some(mount) if !namespace::is_above(&mount.root) => {
            if mount.read_only {
                work.remount_writable(&mount.point.display().to_string())?;
            }
            mount.point.display().to_string()
        }
        _ => {
            make_folder(&folder)?;
            let flags = PLAIN | MsFlags::MS_RELATIME;
            work.mount_over("cgroup", &point, flags, &hierarchy.mount_option())?;
            point
        }
    };
    Ok(point)
}

/// Gives a hierarchy its other names.
fn link(hierarchy: &Hierarchy, work: &mut Work) -> Result<(), Fault> {
    for alias in hierarchy.aliases() {
        let link = Path::new(CGROUPS).join(&alias);
        if link.symlink_metadata().is_err() {
            symlink(hierarchy.folder(), &link)
                .map_err(|error| failed("link", &link.display().to_string(), &error))?;
            work.steps.push("link-cgroup", link.display(), StepState::Done);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use dind_system::proc::{parse_cgroups, parse_mounts};

    #[test]
    fn names_of_hierarchies() {
        let cgroups = parse_cgroups("12:cpu,cpuacct:/docker/abc\n3:name=systemd:/\n2:memory:/x\n0::/init\n");
        let found: Vec<_> = hierarchies(cgroups).into_iter().map(|(hierarchy, _)| hierarchy).collect();
        let folders: Vec<_> = found.iter().map(Hierarchy::folder).collect();
        assert_eq!(folders, ["cpu,cpuacct", "systemd", "memory"]);
        assert_eq!(found[0].aliases(), ["cpuacct,cpu", "cpu", "cpuacct"]);
        assert_eq!(found[1].aliases(), ["name=systemd"]);
        assert_eq!(found[1].mount_option(), "none,name=systemd");
        assert!(found[2].aliases().is_empty());
    }

    #[test]
    fn a_mount_is_known_by_all_its_controllers() {
        let mounts = parse_mounts(
            "1 0 0:1 / /x rw - cgroup cgroup rw,cpuacct,cpu\n2 0 0:2 / /y rw - cgroup cgroup rw,cpu\n",
        );
        let pair = Hierarchy("cpu,cpuacct".to_owned());
        assert!(pair.is(&mounts[0]) && !pair.is(&mounts[1]));
    }
}
