//! `seccomp.json` is moby's default profile with two entries more. `DIND_UPDATE=1` rewrites it.
//!
//! `moby-seccomp-0.2.3.json` is `seccomp/default.json` of github.com/moby/profiles at its tag seccomp/v0.2.3 (Apache-2.0),
//! byte for byte. A newer one takes its place here, and the profile follows.

use dind_launch::doctor::run_flags::profile;
use dind_tests::captured::assert_written;

const MOBY: &str = include_str!("moby-seccomp-0.2.3.json");

/// The end of moby's file: of the list, and of the object.
const END: &str = "\n\t]\n}";

/// What runc calls for an inner container: a session keyring of its own, and a root of its own. With the former come
/// the calls of programs that keep keys there. And what makes namespaces and mounts in them: moby allows these calls to containers
/// with `SYS_ADMIN`, which a node that makes its own user namespace does without.
const ENTRIES: &str = r#",
		{
			"names": [
				"add_key",
				"keyctl",
				"pivot_root",
				"request_key"
			],
			"action": "SCMP_ACT_ALLOW",
			"comment": "dind: runc calls these for inner containers"
		},
		{
			"names": [
				"clone",
				"fsconfig",
				"fsmount",
				"fsopen",
				"fspick",
				"mount",
				"mount_setattr",
				"move_mount",
				"open_tree",
				"setdomainname",
				"sethostname",
				"setns",
				"umount",
				"umount2",
				"unshare"
			],
			"action": "SCMP_ACT_ALLOW",
			"comment": "dind: a node that makes its own user namespace calls these without SYS_ADMIN"
		}"#;

#[test]
fn the_profile_is_moby_s_and_two_entries_more() {
    let wanted =
        format!("{}{ENTRIES}{END}\n", MOBY.trim_end().strip_suffix(END).expect("moby's file ends as it did"));
    assert_written(concat!(env!("CARGO_MANIFEST_DIR"), "/seccomp.json"), &wanted);
}

#[test]
fn the_program_carries_the_profile() {
    let profile = profile();
    let entries = profile["syscalls"].as_array().expect("a list of entries");
    let ours: Vec<_> = entries.iter().rev().take(2).map(|entry| entry["names"][0].clone()).collect();
    assert_eq!(ours, ["clone", "add_key"]);
}
