//! Which users of the machine the node's users are.

use dind_system::Root;
use dind_system::proc::{GID_MAP, UID_MAP, outer_root};
use std::io;

/// The first user of the node, where the container has all users of the machine. It lies above those that systemd gives to
/// containers (524288 to 1879048191, systemd's UIDS-GIDS) and below podman's (2147483647, podman-run(1), `--userns=auto`).
pub const BASE: u32 = 0x7000_0000;

/// As many as an engine gives a container, and as `nobody` needs (subuid(5)).
const COUNT: u32 = 65_536;

/// An owner and a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ids {
    /// The user's number.
    pub(super) user: u32,
    /// The group's.
    pub(super) group: u32,
}

/// The users and groups of a node, as the kernel's `uid_map` and `gid_map` want them (user_namespaces(7)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Map {
    /// The text for `uid_map`.
    pub(super) users: String,
    /// The text for `gid_map`.
    pub(super) groups: String,
    /// Whether root is another user in the node than in the container.
    pub(super) is_shifted: bool,
}

impl Map {
    /// Reads which users the container has, and decides.
    ///
    /// Root of the machine never is root in a node: the kernel lets it write to the machine's settings in `/proc/sys` as their
    /// owner, whatever its capabilities (`test_perm`, fs/proc/proc_sysctl.c). Where the engine has mapped users already, root is
    /// somebody else, and stays that.
    ///
    /// # Errors
    /// Those of reading the maps.
    pub(super) fn read(root: &Root) -> io::Result<Self> {
        Ok(Self::of(&root.read(UID_MAP)?, &root.read(GID_MAP)?))
    }

    fn of(users: &str, groups: &str) -> Self {
        if outer_root(users).is_none() {
            let shifted = format!("0 {BASE} {COUNT}\n");
            return Self { users: shifted.clone(), groups: shifted, is_shifted: true };
        }
        Self { users: same(users), groups: same(groups), is_shifted: false }
    }

    /// Who owns in the container what these own in the node.
    pub(super) fn owner(&self, ids: Ids) -> Ids {
        let shift = |id: u32| if self.is_shifted { BASE + id.min(COUNT - 2) } else { id };
        Ids { user: shift(ids.user), group: shift(ids.group) }
    }
}

/// Each user of the container is itself.
fn same(map: &str) -> String {
    let lines = map.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines.filter(|line| line.len() == 3).map(|line| format!("{0} {0} {1}\n", line[0], line[2])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_of_the_machine_is_never_root_in_a_node() {
        let all = "         0          0 4294967295\n";
        let map = Map::of(all, all);
        assert_eq!((map.users.as_str(), map.is_shifted), ("0 1879048192 65536\n", true));
        let owner = |user, group| map.owner(Ids { user, group });
        assert_eq!(owner(0, 0), Ids { user: BASE, group: BASE });
        assert_eq!(owner(1000, 100), Ids { user: BASE + 1000, group: BASE + 100 });
        assert_eq!(owner(4_000_000, 0), Ids { user: BASE + 65_534, group: BASE });
    }

    #[test]
    fn users_that_the_engine_has_mapped_stay_who_they_are() {
        let map = Map::of(" 0 165536 65536\n", "0 165536 1000\n1000 400000 5\n");
        assert_eq!((map.users.as_str(), map.is_shifted), ("0 0 65536\n", false));
        assert_eq!(map.groups, "0 0 1000\n1000 1000 5\n");
        assert_eq!(map.owner(Ids { user: 7, group: 8 }), Ids { user: 7, group: 8 });
    }
}
