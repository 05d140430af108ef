//! Whether /dev has a node of the loop device that the kernel would give out now.
//!
//! The kernel is not asked: LOOP_CTL_GET_FREE makes a device where all are in use, and a plan changes nothing. It answers
//! with the free device of the lowest number, or a new one of the lowest number that is not in use (drivers/block/loop.c,
//! `loop_control_get_free`), and sysfs shows both.

use crate::loopdev;
use dind_system::Root;
use std::collections::BTreeSet;

/// Whether that node is missing.
#[must_use]
pub fn is_missing(root: &Root) -> bool {
    !root.exists(format!("/dev/loop{}", next(root)))
}

/// The number of that device. Another process may get it first.
fn next(root: &Root) -> i32 {
    let names = root.list("/sys/block").unwrap_or_default();
    let known: BTreeSet<i32> =
        names.iter().filter_map(|name| name.strip_prefix("loop")?.parse().ok()).collect();
    let free = known.iter().find(|number| !root.exists(loopdev::backing_file(**number)));
    free.copied().or_else(|| (0..).find(|number| !known.contains(number))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_lowest_free_device_comes_first_then_a_new_one() {
        let scratch = tempfile::tempdir().unwrap();
        let root = Root::at(scratch.path());
        assert_eq!(next(&root), 0);
        let attach = |number: i32| {
            let file = root.path(loopdev::backing_file(number));
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "/data/docker\n").unwrap();
        };
        attach(0);
        attach(2);
        assert_eq!(next(&root), 1, "a new device in the gap");
        fs::create_dir_all(root.path("/sys/block/loop10")).unwrap();
        fs::create_dir_all(root.path("/sys/block/loop9")).unwrap();
        assert_eq!(next(&root), 9, "a device that exists before a new one");
        assert!(is_missing(&root));
        fs::create_dir(root.path("/dev")).unwrap();
        fs::write(root.path("/dev/loop9"), "").unwrap();
        assert!(!is_missing(&root));
    }
}
