//! An empty directory at the start: certificates, and who gets in.

use crate::client::{CERTDIR, Client};
use crate::shared::{mounted, of_docker_dind};
use dind_tests::eventually;
use dind_tests::outer::{LIMIT, LOOP, Node, SLEEP, address_of, inner_image};
use std::process::Command;

#[test]
fn whoever_has_the_files_of_the_client_gets_in_from_the_first_start_on() {
    let node = Node::start(&[&CERTDIR[..], &LOOP].concat(), SLEEP);
    node.until_running();
    let client = Client::of(&node);
    client.gets_in(&node);
    let address = address_of(&node.name);
    assert_eq!(client.docker(&address, &["run", "--rm", &inner_image(), "echo", "inner"]).ok(), "inner");
    let record = node.record();
    let stages: Vec<_> = record["stages"].as_array().unwrap().iter().map(|stage| &stage["name"]).collect();
    assert!(stages.contains(&&"tls".into()), "{stages:?}");
    let result = &record["documents"]["tls"]["result"];
    assert_eq!((&result["made_by"], &result["server"]["name"]), (&"dind".into(), &"dind server".into()));
    let names: Vec<_> =
        result["names"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let own = format!("IP:{address}");
    for name in ["DNS:docker", "DNS:localhost", "IP:127.0.0.1", "IP:::1", &own] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    // Those in the node still use its socket.
    assert_eq!(node.exec(&["docker", "version", "--format", "{{.Server.Version}}"]).status, 0);
    let chart = node.exec(&["dind-launch", "status", "--timeline"]).stderr;
    assert!(chart.contains("\ntls "), "{chart}");
    let modes = node.exec(&[
        "stat",
        "--format",
        "%a",
        "/certs/ca/key.pem",
        "/certs/server/key.pem",
        "/certs/client/key.pem",
    ]);
    assert_eq!(modes.ok(), "600\n600\n644");
    let doctor = node.exec(&["dind-launch", "doctor"]);
    assert!(doctor.stdout.contains("\"TLS certificates\""), "{doctor:?}");
    assert_eq!(node.stop().0, 143);
}

#[test]
fn others_are_refused_and_the_log_says_so() {
    let volume = of_docker_dind();
    let node = Node::start(&[&CERTDIR[..], &["--volume", &mounted(&volume, "/certs")]].concat(), SLEEP);
    node.until_running();
    let other = Node::start(&CERTDIR, SLEEP);
    other.until_running();
    let refused = |client: &Client, node: &Node, part: &str| {
        let before = node.log().len();
        let ended = client.server_version(&address_of(&node.name));
        assert_ne!(ended.status, 0, "{ended:?}");
        eventually(part, LIMIT, || {
            let said = |line: &str| line.contains("TLS handshake error") && line.contains(part);
            node.log()[before..].lines().any(said).then_some(())
        });
    };
    let of_node = || Client::of(&node);
    let bare = of_node().with("cert.pem", None).with("key.pem", None);
    refused(&bare, &node, "didn't provide a certificate");
    // Of another CA with the same name: a client does not even show one of a CA that the engine has not named.
    let place = dind_tests::scratch();
    let mut apply = Command::new(dind_tests::bin("dind-launch"));
    dind_tests::bare_environment(apply.args(["tls", "apply"])).env("DOCKER_TLS_CERTDIR", place.path());
    assert!(apply.output().unwrap().status.success());
    let read = |name: &str| std::fs::read_to_string(place.path().join("client").join(name)).unwrap();
    let strange = Client::of(&other).with("cert.pem", Some(&read("cert.pem")));
    refused(&strange.with("key.pem", Some(&read("key.pem"))), &other, "unknown authority");
    // Of the right CA, but expired; its neighbour of the same CA gets in.
    of_node().gets_in(&node);
    let expired = of_node().with("cert.pem", Some(include_str!("expired/cert.pem")));
    refused(&expired.with("key.pem", Some(include_str!("expired/key.pem"))), &node, "expired");
    // And a client refuses a node of another CA.
    let ended = Client::of(&other).server_version(&address_of(&node.name));
    assert!(ended.status != 0 && ended.stderr.contains("unknown authority"), "{ended:?}");
}
