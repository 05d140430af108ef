//! Several applies on one directory, and directories that cannot be written.

use crate::directory::{Directory, Kind, outcome};
use nix::mount::{MsFlags, mount};
use serde_json::Value;
use std::os::unix::fs::symlink;
use std::process::Stdio;
use std::{fs, iter};

#[test]
fn two_that_start_at_once_have_one_ca_and_each_its_names() {
    for kind in Kind::ALL {
        for round in 0..10 {
            let directory = Directory::new(kind);
            let start = |name: &str| {
                let mut command = directory.through(&[], "apply", name);
                command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
            };
            let started: Vec<_> = ["DNS:one", "DNS:two", "DNS:three"].map(start).into_iter().collect();
            let documents: Vec<Value> = started
                .into_iter()
                .map(|child| outcome(&child.wait_with_output().unwrap()))
                .map(|(status, document)| {
                    assert_eq!(status, 0, "{document}");
                    document
                })
                .collect();
            assert!(directory.is_complete("DNS:one,DNS:two,DNS:three"), "{kind:?} {round}: {documents:?}");
            let made = |op: &str| {
                let steps = documents.iter().flat_map(|document| document["steps"].as_array().unwrap());
                steps.filter(|step| step["op"] == op && step["state"] == "done").count()
            };
            assert_eq!((made("make-ca"), made("install-certificates")), (1, 3), "{kind:?} {round}");
            assert_eq!(directory.leftovers(), [""; 0]);
        }
    }
}

#[test]
fn a_second_apply_changes_nothing() {
    for kind in Kind::ALL {
        let directory = Directory::new(kind);
        assert_eq!(directory.apply("DNS:one")["changed"], true);
        let files = directory.files();
        let again = directory.apply("DNS:one");
        assert_eq!((&again["changed"], directory.files()), (&false.into(), files), "{again}");
    }
}

#[test]
fn a_directory_that_is_read_only_will_do_if_it_is_complete() {
    let directory = Directory::new(Kind::Mounted);
    let remount = |flags| {
        mount(None::<&str>, &directory.path(), None::<&str>, MsFlags::MS_REMOUNT | flags, None::<&str>)
            .unwrap();
    };
    remount(MsFlags::MS_RDONLY);
    for verb in ["plan", "apply"] {
        let (status, document) = directory.run(verb, "");
        assert_eq!((status, &document["error"]["code"]), (73, &"tls-not-written".into()), "{document}");
    }
    remount(MsFlags::empty());
    directory.apply("DNS:one");
    remount(MsFlags::MS_RDONLY);
    assert_eq!(directory.apply("DNS:one")["changed"], false);
    assert_eq!(directory.run("apply", "DNS:two").0, 73);
}

#[test]
fn a_failed_apply_leaves_no_directory_behind() {
    let directory = Directory::new(Kind::Plain);
    fs::write(directory.path(), "a file").unwrap();
    let (status, document) = directory.run("apply", "");
    assert_eq!(status, 73, "{document}");
    assert_eq!(fs::read(directory.path()).unwrap(), b"a file");
}

#[test]
fn a_directory_that_a_link_leads_to_is_replaced_where_it_lies() {
    let directory = Directory::new(Kind::Plain);
    let place = directory.outside("volume");
    fs::create_dir(&place).unwrap();
    symlink("volume", directory.path()).unwrap();
    directory.apply("");
    assert!(directory.path().is_symlink() && place.join("client/cert.pem").exists());
    directory.apply("DNS:one");
    assert!(directory.path().is_symlink() && directory.is_complete("DNS:one"));
}

#[test]
fn no_umask_makes_a_key_readable_or_a_certificate_unreadable() {
    for umask in ["0000", "0777"] {
        let directory = Directory::new(Kind::Mounted);
        let script = format!("umask {umask}; exec \"$0\" \"$@\"");
        let words: Vec<&str> = ["sh", "-c", &script].into_iter().chain(iter::empty()).collect();
        let (status, document) = outcome(&directory.through(&words, "apply", "").output().unwrap());
        assert_eq!(status, 0, "{document}");
        directory.assert_private();
        let mode = |name: &str| {
            use std::os::unix::fs::PermissionsExt;
            fs::metadata(directory.path().join(name)).unwrap().permissions().mode() & 0o777
        };
        let modes =
            ["ca", "ca/key.pem", "ca/cert.pem", "server/key.pem", "client", "client/key.pem"].map(mode);
        assert_eq!(modes, [0o755, 0o600, 0o644, 0o600, 0o755, 0o644], "umask {umask}");
    }
}
