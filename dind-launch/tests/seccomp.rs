//! `seccomp.json` is moby's default profile with one entry more. `DIND_UPDATE=1` rewrites it.
//!
//! `moby-seccomp-0.2.3.json` is `seccomp/default.json` of github.com/moby/profiles at its tag seccomp/v0.2.3 (Apache-2.0),
//! byte for byte. A newer one takes its place here, and the profile follows.

use dind_launch::doctor::run_flags::profile;
use dind_tests::captured::assert_written;

const MOBY: &str = include_str!("moby-seccomp-0.2.3.json");

/// The end of moby's file: of the list, and of the object.
const END: &str = "\n\t]\n}";

/// What runc calls for an inner container: a session keyring of its own, and a root of its own. With the former come
/// the calls of programs that keep keys there.
const ENTRY: &str = r#",
		{
			"names": [
				"add_key",
				"keyctl",
				"pivot_root",
				"request_key"
			],
			"action": "SCMP_ACT_ALLOW",
			"comment": "dind: runc calls these for inner containers"
		}"#;

#[test]
fn the_profile_is_moby_s_and_one_entry_more() {
    let wanted =
        format!("{}{ENTRY}{END}\n", MOBY.trim_end().strip_suffix(END).expect("moby's file ends as it did"));
    assert_written(concat!(env!("CARGO_MANIFEST_DIR"), "/seccomp.json"), &wanted);
}

#[test]
fn the_program_carries_the_profile() {
    let calls = profile()["syscalls"].as_array().expect("a list of entries").last().unwrap()["names"].clone();
    assert_eq!(calls, serde_json::json!(["add_key", "keyctl", "pivot_root", "request_key"]));
}
