//! An empty directory at the start: certificates, and who gets in.

use crate::client::{CERTDIR, Client};
use crate::shared::{mounted, of_docker_dind};
use dind_tests::eventually;
use dind_tests::outer::{LIMIT, LOOP, Node, SLEEP, address_of, inner_image};

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
    let address = address_of(&node.name);
    let refused = |client: &Client, part: &str| {
        let before = node.log().len();
        let ended = client.server_version(&address);
        assert_ne!(ended.status, 0, "{ended:?}");
        eventually(part, LIMIT, || {
            node.log()[before..]
                .lines()
                .any(|line| line.contains("TLS handshake error") && line.contains(part))
                .then_some(())
        });
    };
    let of_node = || Client::of(&node);
    refused(&of_node().with("cert.pem", None).with("key.pem", None), "didn't provide a certificate");
    let stranger = Client::of(&other);
    let read = |name| std::fs::read_to_string(stranger.file(name)).unwrap();
    let strange = of_node().with("cert.pem", Some(&read("cert.pem"))).with("key.pem", Some(&read("key.pem")));
    refused(&strange, "unknown authority");
    // Of the right CA, but expired; its neighbour of the same CA gets in.
    of_node().gets_in(&node);
    let expired = of_node().with("cert.pem", Some(include_str!("expired/cert.pem")));
    refused(&expired.with("key.pem", Some(include_str!("expired/key.pem"))), "expired");
    // And a client refuses a node of another CA.
    let ended = stranger.server_version(&address);
    assert!(ended.status != 0 && ended.stderr.contains("unknown authority"), "{ended:?}");
}
