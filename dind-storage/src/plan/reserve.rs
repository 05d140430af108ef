//! Files in the data root that keep some space and some inodes for the node's own start: an engine cannot start on a full file
//! system, and without an engine nobody can prune one.
//!
//! Reserved blocks of ext4 would not do: root may use them, and inner containers are root. So a start on a full file system
//! removes half of the files. The next such start still finds half of the rest; there are all of them again once there is room.

use super::step::Step;
use crate::facts::Facts;
use crate::facts::directory::Directory;
use crate::report::Space;

const MIB: u64 = 1 << 20;

/// How many files there are when all is well.
const FILES: usize = 64;

/// How long all of them are together, in bytes.
const LEAST: u64 = 4 * MIB;
const MOST: u64 = 16 * MIB;

/// An engine starts with this much free, in bytes.
const ENOUGH: u64 = MIB;

/// An engine starts with so many inodes.
const ENOUGH_INODES: u64 = 16;

/// File systems whose files take up memory.
const IN_MEMORY: [&str; 2] = ["tmpfs", "ramfs"];

/// The step. `known` says that the data root's file system is the one that will hold the data; what is in an image that is not
/// mounted yet is seen then.
#[must_use]
pub fn step(facts: &Facts, known: bool) -> Step {
    let Directory { path, mount, space, .. } = &facts.data_root;
    let change = space.and_then(|space| new_count(facts.reserve, &space, &mount.kind));
    Step::AdjustReserve { data_root: path.clone(), holds: known && change.is_none() }
}

/// How long a file of the reserve is, in bytes: a sixty-fourth of the file system is enough for all of them.
#[must_use]
pub fn length(space: &Space) -> u64 {
    (space.total_bytes / 64).clamp(LEAST, MOST) / FILES as u64
}

/// How many files there should be; nothing where those that there are should stay.
#[must_use]
pub fn new_count(count: usize, space: &Space, filesystem: &str) -> Option<usize> {
    let counts_inodes = space.total_inodes > 0;
    if space.available_bytes < ENOUGH || counts_inodes && space.available_inodes < ENOUGH_INODES {
        return (count > 0).then_some(count / 2);
    }
    // What makes it whole must not make the file system full again.
    let has_room = space.available_bytes / 4 >= length(space) * FILES as u64
        && (!counts_inodes || space.available_inodes / 4 >= FILES as u64);
    (count < FILES && has_room && !IN_MEMORY.contains(&filesystem)).then_some(FILES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(total_bytes: u64, available_bytes: u64) -> Space {
        Space { total_bytes, available_bytes, ..Space::default() }
    }

    #[test]
    fn it_is_made_where_there_is_room() {
        let of = |total, available| new_count(0, &space(total, available), "ext4");
        assert_eq!(of(5 << 30, 5 << 30), Some(FILES));
        assert_eq!(of(512 * MIB, 400 * MIB), Some(FILES));
        assert_eq!(of(5 << 30, 63 * MIB), None);
        assert_eq!(new_count(FILES, &space(5 << 30, 5 << 30), "ext4"), None);
        assert_eq!(new_count(8, &space(5 << 30, 5 << 30), "xfs"), Some(FILES));
        assert_eq!(new_count(0, &space(5 << 30, 5 << 30), "tmpfs"), None);
        let few_inodes = Space { total_inodes: 1000, available_inodes: 200, ..space(5 << 30, 5 << 30) };
        assert_eq!(new_count(0, &few_inodes, "ext4"), None);
    }

    #[test]
    fn it_is_a_small_part_of_the_file_system() {
        assert_eq!(length(&space(5 << 30, 0)) * FILES as u64, MOST);
        assert_eq!(length(&space(512 * MIB, 0)) * FILES as u64, 8 * MIB);
        assert_eq!(length(&space(60 * MIB, 0)) * FILES as u64, LEAST);
    }

    #[test]
    fn a_full_file_system_gets_half_of_it_at_each_start() {
        let full = space(5 << 30, ENOUGH - 1);
        let no_inode = Space { total_inodes: 1000, available_inodes: 15, ..space(5 << 30, 5 << 30) };
        for space in [full, no_inode] {
            let counts: Vec<_> =
                std::iter::successors(Some(FILES), |count| new_count(*count, &space, "ext4")).collect();
            assert_eq!(counts, [64, 32, 16, 8, 4, 2, 1, 0]);
        }
    }
}
