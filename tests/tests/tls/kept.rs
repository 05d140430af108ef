//! Certificates over the life of a node.

use crate::client::{CERTDIR, Client};
use dind_tests::outer::{Network, Node, SLEEP, address_of, docker};

fn certificates(node: &Node) -> String {
    node.exec(&["sh", "-c", "cd /certs && cat */*.pem"]).ok()
}

#[test]
fn a_restart_keeps_them_and_a_new_address_gets_into_that_of_the_server() {
    let network = Network::new("10.241.1.0/24", "10.241.1.0/25", &[]);
    let node = Node::start(&CERTDIR, SLEEP);
    node.until_running();
    let (client, before) = (Client::of(&node), certificates(&node));
    let _ = node.stop();
    node.start_again();
    client.gets_in(&node);
    let document = node.record()["documents"]["tls"].clone();
    // Unless the outer engine has given it another address.
    if document["changed"] == false {
        assert_eq!(certificates(&node), before);
    }
    let _ = node.stop();
    docker(&["network", "connect", "--ip", "10.241.1.77", &network.name, &node.name]).ok();
    node.start_again();
    let document = node.record()["documents"]["tls"].clone();
    let done: Vec<_> =
        document["steps"].as_array().unwrap().iter().filter(|step| step["state"] == "done").collect();
    assert_eq!(
        (done.len(), &done[0]["op"], &done[0]["target"]),
        (2, &"renew-certificate".into(), &"/certs/server".into())
    );
    // The client has the files of the first start.
    client.server_version("10.241.1.77").ok();
    docker(&["network", "disconnect", "--force", &network.name, &node.name]).ok();
}

#[test]
fn an_engine_that_is_started_again_has_them_still() {
    let node = Node::start(&[&CERTDIR[..], &["--env", "DIND_ENGINE_RESTART=on-failure:3"]].concat(), SLEEP);
    node.until_running();
    let client = Client::of(&node);
    let pid = node.record()["engine_pid"].to_string();
    node.exec(&["kill", "-9", &pid]).ok();
    dind_tests::eventually("another engine runs", dind_tests::outer::LIMIT, || {
        let record = node.record();
        (record["engine_restarts"] == 1 && record["state"] == "running").then_some(())
    });
    client.gets_in(&node);
    // A reload of other settings leaves them alone.
    node.exec(&["sh", "-c", "mkdir -p /etc/docker; echo '{\"labels\": [\"a=b\"]}' >/etc/docker/daemon.json"])
        .ok();
    node.exec(&["dind-launch", "reload"]).ok();
    assert_eq!(client.docker(&address_of(&node.name), &["info", "--format", "{{.Labels}}"]).ok(), "[a=b]");
    assert_eq!(node.record()["daemon_json"]["tlsverify"], true);
}
