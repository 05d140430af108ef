//! What becomes of files that are there: of ours, of docker:dind's, of the user's.

use super::*;
use crate::tls::facts::FileFacts;
use crate::tls::issue;
use crate::tls::layout::{CLIENT_CA, CLIENT_CERT, CLIENT_KEY, mode};
use crate::tls::step::Work;
use dind_contract::step::{Apply, Step};
use std::collections::BTreeMap;

const DAY: i64 = 24 * 3600;
const NOW: i64 = 1_800_000_000;

fn facts() -> Facts {
    let names = crate::tls::name::parse("DNS:docker,DNS:node,IP:172.17.0.2").unwrap();
    Facts { directory: "/certs".into(), exists: true, writable: true, names, now: NOW, ..Facts::default() }
}

/// The files that an apply would leave.
fn applied(facts: Facts) -> Facts {
    let plan = decide(&facts).unwrap();
    let mut work = Work { facts, ..Work::default() };
    let makes = |step: &&TlsStep| {
        matches!(step.change, Change::MakeCa { .. } | Change::MakeLeaf { .. }) && !step.holds
    };
    for step in plan.steps.iter().filter(makes) {
        step.apply(&mut work).unwrap();
    }
    let mut facts = work.facts;
    facts
        .files
        .extend(work.files.into_iter().map(|(name, bytes)| (name, FileFacts { bytes, mode: mode(name) })));
    facts
}

/// `op target` of the steps that are to be made.
fn planned(facts: &Facts) -> Vec<String> {
    let plan = decide(facts).unwrap();
    let steps = plan.steps.iter().filter(|step| !step.holds);
    steps.map(|step| format!("{} {}", step.op(), step.target())).collect()
}

const SERVER_ANEW: [&str; 2] = ["renew-certificate /certs/server", "install-certificates /certs"];

#[test]
fn what_is_made_fits_and_is_kept() {
    let empty = facts();
    assert_eq!(
        planned(&empty),
        [
            "make-ca /certs/ca",
            "make-certificate /certs/server",
            "make-certificate /certs/client",
            "install-certificates /certs"
        ]
    );
    let made = applied(empty);
    assert_eq!(made.files.len(), 8);
    let read = |file| made.certificate(file).unwrap();
    let (ca, server, client) = (read(CA_CERT), read(SERVER_CERT), read(CLIENT_CERT));
    assert!(ca.signs && ca.is_signed_by(&ca) && server.is_signed_by(&ca) && client.is_signed_by(&ca));
    assert!(
        !server.signs && server.for_server && !server.for_client && client.for_client && !client.for_server
    );
    assert_eq!((server.names.as_slice(), client.names.len()), (made.names.as_slice(), 0));
    assert!(server.is_of(&made.key(SERVER_KEY).unwrap()) && client.is_of(&made.key(CLIENT_KEY).unwrap()));
    assert!(
        server.is_valid(NOW - 3000) && server.is_valid(NOW + 824 * DAY) && !server.is_valid(NOW + 826 * DAY)
    );
    assert_eq!(planned(&made), [""; 0]);
    let plan = decide(&made).unwrap();
    assert_eq!(plan.result.server.unwrap().name, "dind server");
    assert!(plan.warnings.is_empty());
}

#[test]
fn a_new_name_gets_into_the_certificate_and_those_of_other_nodes_stay() {
    let first = applied(facts());
    let mut second = first.clone();
    second.names = crate::tls::name::parse("DNS:docker,DNS:other,IP:172.17.0.3").unwrap();
    assert_eq!(planned(&second), SERVER_ANEW);
    let both = applied(second);
    let names = both.certificate(SERVER_CERT).unwrap().names;
    assert!(first.names.iter().chain(&both.names).all(|name| names.contains(name)), "{names:?}");
    assert_eq!(
        (both.bytes(SERVER_KEY), both.bytes(CA_CERT)),
        (first.bytes(SERVER_KEY), first.bytes(CA_CERT))
    );
    assert_eq!(planned(&both), [""; 0]);
    assert_eq!(
        planned(&Facts { names: first.names.clone(), ..both.clone() }),
        [""; 0],
        "the first node starts again"
    );
    // Those of containers that are long gone make room.
    let mut last = both;
    for number in 0..100 {
        last.names = vec![Name::Dns(format!("node{number}"))];
        last = applied(last);
    }
    assert_eq!(last.certificate(SERVER_CERT).unwrap().names.len(), 1 + KEPT_NAMES);
}

#[test]
fn certificates_are_renewed_when_half_of_their_life_is_over_and_keys_stay() {
    let made = applied(facts());
    assert_eq!(planned(&Facts { now: NOW + 400 * DAY, ..made.clone() }), [""; 0]);
    let later = Facts { now: NOW + 420 * DAY, ..made.clone() };
    assert_eq!(
        planned(&later),
        ["renew-certificate /certs/server", "renew-certificate /certs/client", "install-certificates /certs"]
    );
    let renewed = applied(later);
    assert!(renewed.certificate(SERVER_CERT).unwrap().is_valid(NOW + 1200 * DAY));
    let keys = |facts: &Facts| {
        [CA_KEY, CA_CERT, SERVER_KEY, CLIENT_KEY].map(|file| facts.bytes(file).unwrap().to_vec())
    };
    assert_eq!(keys(&renewed), keys(&made));
    // Our own CA, too; what it has signed with the same key stays valid.
    let late = Facts { now: NOW + 1900 * DAY, ..renewed.clone() };
    assert_eq!(planned(&late)[0], "renew-ca /certs/ca");
    let last = applied(late);
    assert_eq!(last.bytes(CA_KEY), made.bytes(CA_KEY));
    assert!(renewed.certificate(CLIENT_CERT).unwrap().is_signed_by(&last.certificate(CA_CERT).unwrap()));
    assert_eq!(planned(&last), [""; 0]);
}

#[test]
fn what_does_not_fit_is_made_again() {
    let (made, other) = (applied(facts()), applied(facts()));
    let with = |files: &[(&'static str, Option<&Facts>)]| {
        let mut changed = made.clone();
        for (file, of) in files {
            changed.files.remove(file);
            changed.files.extend(of.map(|of| (*file, of.files[file].clone())));
        }
        planned(&changed)
    };
    let anew = |verb: &str, role: &str| {
        vec![format!("{verb}-certificate /certs/{role}"), "install-certificates /certs".to_owned()]
    };
    assert_eq!(with(&[(SERVER_KEY, Some(&other))]), anew("renew", "server"));
    assert_eq!(with(&[(SERVER_KEY, None)]), anew("make", "server"));
    assert_eq!(
        with(&[(SERVER_CERT, Some(&other)), (SERVER_KEY, Some(&other))]),
        anew("renew", "server"),
        "another CA's"
    );
    assert_eq!(with(&[(CLIENT_CA, Some(&other))]), anew("renew", "client"));
    assert_eq!(with(&[(CLIENT_CERT, None)]), anew("renew", "client"));
    assert_eq!(with(&[(CA_KEY, None), (CA_CERT, None), (SERVER_CA, None)])[0], "make-ca /certs/ca");
    let mut garbage = made.clone();
    garbage.files.get_mut(CLIENT_KEY).unwrap().bytes =
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".to_vec();
    assert_eq!(planned(&garbage), anew("make", "client"));
    // A certificate of a server is none for clients.
    let mut swapped = made.clone();
    for (to, from) in [(CLIENT_CERT, SERVER_CERT), (CLIENT_KEY, SERVER_KEY)] {
        swapped.files.insert(to, made.files[from].clone());
    }
    assert_eq!(planned(&swapped), anew("renew", "client"));
}

#[test]
fn a_ca_of_the_users_is_kept_or_refused_and_never_replaced() {
    let (made, other) = (applied(facts()), applied(facts()));
    let only = |files: &[(&'static str, &Facts)]| {
        let files: BTreeMap<_, _> = files.iter().map(|(name, of)| (*name, of.files[name].clone())).collect();
        Facts { files, ..facts() }
    };
    let kept = applied(only(&[(CA_KEY, &made), (CA_CERT, &made)]));
    assert_eq!((kept.bytes(CA_CERT), kept.bytes(SERVER_CA)), (made.bytes(CA_CERT), made.bytes(CA_CERT)));
    assert_eq!(planned(&only(&[(CA_KEY, &made)]))[0], "renew-ca /certs/ca", "a key without certificate");
    let refused = |facts: &Facts, part: &str| {
        let fault = decide(facts).unwrap_err();
        assert_eq!(fault.code, fault::TLS_CA_UNUSABLE);
        assert!(fault.message.contains(part) && !fault.hint.is_empty(), "{fault}");
    };
    refused(&only(&[(CA_CERT, &made)]), "the key of this CA is missing");
    refused(&only(&[(CA_CERT, &made), (CA_KEY, &other)]), "belongs to another key");
    let mut leaf = only(&[(CA_CERT, &made), (CA_KEY, &made)]);
    leaf.files.insert(CA_CERT, made.files[CLIENT_CERT].clone());
    leaf.files.insert(CA_KEY, made.files[CLIENT_KEY].clone());
    refused(&leaf, "is not the certificate of a CA");
    // One with a name of its own: not even when it has expired.
    let pem = issue::ca(&made.key(CA_KEY).unwrap(), "Example Org", NOW - 3000 * DAY).unwrap();
    let mut users = only(&[(CA_KEY, &made)]);
    users.files.insert(CA_CERT, FileFacts { bytes: pem.into_bytes(), mode: 0o644 });
    assert!(!planned(&users).iter().any(|step| step.starts_with("renew-ca")));
    users.now += 640 * DAY;
    assert_eq!(decide(&users).unwrap().warnings[0].code, "tls-expires");
    let leaf = applied(users.clone());
    assert!(leaf.certificate(SERVER_CERT).unwrap().not_after <= leaf.certificate(CA_CERT).unwrap().not_after);
    assert_eq!(planned(&leaf), [""; 0], "it cannot get more than its CA has");
    users.now += 100 * DAY;
    refused(&users, "it expired at 20");
}

#[test]
fn a_certificate_of_the_users_is_taken_as_it_is() {
    let made = applied(facts());
    let mut users = made.clone();
    users.files.retain(|name, _| name.starts_with("server/"));
    users.writable = false;
    let plan = decide(&users).unwrap();
    assert_eq!((plan.steps.len(), plan.result.made_by.as_deref()), (0, Some("user")));
    assert!(plan.result.client.is_none() && plan.warnings.is_empty());
    users.now += 800 * DAY;
    assert_eq!(decide(&users).unwrap().warnings[0].code, "tls-expires");
    users.now += 100 * DAY;
    assert_eq!(decide(&users).unwrap_err().code, fault::TLS_CERTIFICATE_UNUSABLE);
    users.now = NOW - 100 * DAY;
    assert!(decide(&users).unwrap_err().message.contains("it is valid only from"));
    users.now = NOW;
    users.files.insert(SERVER_KEY, made.files[CLIENT_KEY].clone());
    assert!(decide(&users).unwrap_err().message.contains("belongs to another key"));
}

#[test]
fn a_directory_that_cannot_be_written_will_do_if_nothing_is_to_be_made() {
    let read_only = |facts: Facts| decide(&Facts { writable: false, ..facts });
    assert_eq!(read_only(facts()).unwrap_err().code, fault::TLS_NOT_WRITTEN);
    assert!(read_only(applied(facts())).is_ok());
}

#[test]
fn keys_that_everybody_may_read_are_warned_of() {
    let mut made = applied(facts());
    made.files.get_mut(SERVER_KEY).unwrap().mode = 0o644;
    let warnings = decide(&made).unwrap().warnings;
    assert_eq!((warnings.len(), warnings[0].hint.as_str()), (1, "chmod 600 /certs/server/key.pem"));
}
