//! TCP without TLS.

use dind_tests::outer::{Network, Node, SLEEP, address_of, on_host};

fn version(node: &Node) -> dind_tests::outer::Ended {
    let host = format!("--host=tcp://{}:2375", address_of(&node.name));
    on_host(&["docker", &host, "version", "--format", "{{.Server.Version}}"])
}

fn warned(node: &Node, code: &str) -> bool {
    let record = node.record();
    let warnings = record["warnings"].as_array().unwrap();
    warnings
        .iter()
        .any(|warning| warning["code"] == code && node.log().contains(warning["message"].as_str().unwrap()))
}

#[test]
fn clear_text_is_opened_by_a_word_and_warned_of_wherever_people_look() {
    let node = Node::start(&["--env", "DOCKER_TLS_CERTDIR=", "--env", "DIND_INSECURE_TCP=true"], SLEEP);
    node.until_running();
    assert_eq!(node.record()["engine_version"], version(&node).ok().as_str());
    assert!(warned(&node, "tcp-insecure"), "{}", node.log());
    let doctor = node.exec(&["dind-launch", "doctor"]);
    assert!(doctor.stdout.contains("DIND_INSECURE_TCP"), "{doctor:?}");
}

#[test]
fn docker_dinds_word_for_clear_text_opens_nothing_and_says_what_does() {
    let node = Node::start(&["--env", "DOCKER_TLS_CERTDIR="], SLEEP);
    node.until_running();
    assert_ne!(version(&node).status, 0);
    assert!(warned(&node, "tcp-closed"), "{}", node.log());
    assert!(node.log().contains("DIND_INSECURE_TCP=true"), "{}", node.log());
}

#[test]
fn a_bridged_node_listens_with_tls_and_not_in_clear_text() {
    let network = Network::new("10.241.2.0/24", "10.241.2.0/26", &[]);
    let options = [
        "--network",
        &network.name,
        "--env",
        "DOCKER_NETWORK_OFFSET=0.0.0.128",
        "--env",
        "DOCKER_NETWORK_SIZE=27",
    ];
    let open = Node::start(&[&options[..], &["--env", "DIND_INSECURE_TCP=true"]].concat(), SLEEP);
    assert_eq!(open.exit_status(), 125);
    assert!(open.log().contains("in a bridged node every container of the outer network"), "{}", open.log());
    let node = Node::start(&[&options[..], &crate::client::CERTDIR].concat(), SLEEP);
    node.until_running();
    crate::client::Client::of(&node).gets_in(&node);
}
