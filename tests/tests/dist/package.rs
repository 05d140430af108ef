//! The package of Debian.

use crate::{Debian, TOOLS, directory, file};
use dind_tests::outer::run;
use serde_json::Value;
use std::fs;

/// Every path of the system but those of the kernel, of processes, and of dpkg's own records.
const PATHS: &str = "find / -xdev -path /proc -prune -o -path /sys -prune -o -path /dev -prune -o \
    -path /var/lib/dpkg -prune -o -path /var/log -prune -o -path /dind.deb -o -print | sort";

#[test]
fn it_installs_on_a_bare_debian_works_and_leaves_nothing_when_it_is_purged() {
    let debian = Debian::start("DIND_TEST_DEBIAN_IMAGE");
    let before = debian.sh(PATHS);
    debian.sh("dpkg --install /dind.deb");
    assert_eq!(debian.sh("dpkg-query --show --showformat '${Status}' dind"), "install ok installed");
    assert_eq!(debian.sh("dpkg --verify dind"), "", "every file is as the package says");
    for tool in TOOLS {
        assert_eq!(debian.sh(&format!("command -v {tool}")), format!("/usr/bin/{tool}"));
        debian.sh(&format!("{tool} --version"));
    }
    let plan =
        debian.sh("dind-net plan --address 172.17.0.5/16 --gateway 172.17.0.1 --offset 0.0.1.0 --size 24");
    let plan: Value = serde_json::from_str(&plan).unwrap();
    assert_eq!(plan["engine"]["config"]["fixed-cidr"], "172.17.1.0/24");
    // The image's own profile, and an entrypoint that can be run as it is.
    let profile = debian.sh("cat /usr/share/dind/seccomp.json");
    assert!(serde_json::from_str::<Value>(&profile).unwrap()["syscalls"].is_array());
    debian.sh("test -x /usr/share/doc/dind/examples/entrypoint/flags.sh");
    debian.sh("dpkg --purge dind");
    assert_eq!(debian.sh(PATHS), before);
}

#[test]
fn its_man_pages_open_and_its_completions_complete() {
    let debian = Debian::start("DIND_TEST_MAN_IMAGE");
    // What the system has of man pages may have been left out of the image, by dpkg's configuration.
    debian.sh("dpkg --install /dind.deb");
    for tool in TOOLS {
        let page = debian.sh(&format!("MANPAGER=cat MANWIDTH=100 man {tool} 2>&1"));
        assert!(page.contains("NAME") && page.contains(tool), "{page}");
        assert!(debian.sh(&format!("man --where {tool}")).starts_with("/usr/share/man/man"), "{tool}");
    }
    // Every page, not one warning of groff.
    let warnings = "for page in $(dpkg --listfiles dind | grep /man/man.*/); do \
                    man --warnings --encoding=UTF-8 --local-file $page 2>&1 >/dev/null; done";
    assert_eq!(debian.sh(warnings), "");
    // The loader ends with 124 where completion is to begin anew (bash(1), "Programmable Completion").
    let complete = "set +eu; source /usr/share/bash-completion/bash_completion; _completion_loader dind-net; \
                    COMP_WORDS=(dind-net pl) COMP_CWORD=1 COMP_LINE='dind-net pl' COMP_POINT=11; \
                    $(complete -p dind-net | sed 's/.*-F \\([^ ]*\\).*/\\1/') dind-net pl dind-net; echo ${COMPREPLY[@]}";
    assert_eq!(debian.sh(complete), "plan");
    for place in ["zsh/vendor-completions/_", "fish/vendor_completions.d/"] {
        let listed = debian.sh(&format!("dpkg --listfiles dind | grep -c /usr/share/{place}dind-"));
        assert_eq!(listed, "4", "{place}");
    }
}

#[test]
fn it_depends_on_nothing_and_every_file_of_it_is_roots() {
    let package = file(".deb");
    let package = package.to_str().unwrap();
    let field = |name| run("dpkg-deb", &["--field", package, name]).ok();
    assert_eq!(field("Package"), "dind");
    assert_eq!(field("Version"), env!("CARGO_PKG_VERSION"));
    for name in ["Depends", "Pre-Depends", "Conflicts"] {
        assert_eq!(field(name), "", "{name}");
    }
    for program in ["e2fsprogs", "iptables | nftables"] {
        assert!(field("Recommends").contains(program), "{}", field("Recommends"));
    }
    let listed = run("dpkg-deb", &["--contents", package]).ok();
    let dates: std::collections::BTreeSet<_> = listed
        .lines()
        .map(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            assert_eq!(words[1], "root/root", "{line}");
            assert!(["drwxr-xr-x", "-rwxr-xr-x", "-rw-r--r--"].contains(&words[0]), "{line}");
            (words[3].to_owned(), words[4].to_owned())
        })
        .collect();
    assert_eq!(dates.len(), 1, "all of one date: {dates:?}");
    // No scripts that run as root at the installation.
    let members = run("dpkg-deb", &["--info", package]).ok();
    for script in ["preinst", "postinst", "prerm", "postrm", "conffiles"] {
        assert!(!members.contains(script), "{members}");
    }
    assert!(fs::metadata(directory().join("SHA256SUMS")).is_ok());
}
