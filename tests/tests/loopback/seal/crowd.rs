//! Many at once, and many times over.

use super::Site;
use crate::machine::document;
use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};

#[test]
fn of_sixteen_that_make_the_same_seed_at_once_one_makes_it() {
    let site = Site::new();
    let start = |_| site.seal(&[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let started: Vec<_> = (0..16).map(start).collect();
    let mut made = 0;
    for one in started {
        let output = one.wait_with_output().unwrap();
        let document = document(&output);
        match document["error"]["code"].as_str() {
            None => made += 1,
            Some("seed-in-use" | "seed-exists" | "data-root-in-use") => {}
            Some(_) => panic!("{document}"),
        }
    }
    assert_eq!(made, 1);
    assert_eq!(site.beside(), ["one"]);
}

#[test]
fn two_hundred_seals_leave_nothing() {
    let site = Site::new();
    let cycles = std::env::var("DIND_TEST_CYCLES").map_or(200, |text| text.parse().unwrap());
    let mut digests = BTreeSet::new();
    for cycle in 0..cycles {
        let form = ["dir", "erofs", "squashfs"][cycle % 3];
        digests.insert(site.sealed(&["--format", form])["result"]["digest"].to_string());
        assert_eq!(site.beside(), ["one"]);
        if form == "dir" { fs::remove_dir_all(site.seed()) } else { fs::remove_file(site.seed()) }.unwrap();
    }
    assert_eq!(digests.len(), 1, "{digests:?}");
    site.machine.assert_clean();
}

#[test]
fn a_seal_that_takes_longer_than_a_second_says_how_far_it_is() {
    let site = Site::new();
    let seal = site.seal(&[]);
    let said = |delayed: &str| {
        let mut slow = Command::new("strace");
        slow.arg("-o/dev/null")
            .arg(format!("--trace={delayed}"))
            .arg(format!("--inject={delayed}:delay_enter=1100000:when=1"));
        let output = slow.arg(seal.get_program()).args(seal.get_args()).env_clear().output().unwrap();
        assert!(output.status.success(), "{output:?}");
        fs::remove_dir_all(site.seed()).unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(said("llistxattr").contains("dind-storage: note: 1 files are looked at"));
    assert!(said("mkdirat").contains(" MB are copied"));
}
