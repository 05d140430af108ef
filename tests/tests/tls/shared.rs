//! Volumes with certificates: shared with clients, with other nodes, brought along, read-only.

use crate::client::{CERTDIR, Client};
use dind_tests::outer::{LIMIT, Node, SLEEP, Volume, address_of, docker, image, inner_image};
use dind_tests::{eventually, unique};
use std::fs;

pub(crate) fn mounted(volume: &Volume, place: &str) -> String {
    format!("{}:{place}", volume.name)
}

/// A CA that docker:dind's commands of openssl have made: RSA, with a longer life.
const DIND_CA: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../dind-launch/tests/cases/18-tls-of-docker-dind/root/certs/ca");

/// A volume with that CA, and nothing else. A container that never runs carries it there.
pub(crate) fn of_docker_dind() -> Volume {
    let (volume, name) = (Volume::new(), unique("filler"));
    docker(&["create", "--name", &name, "--volume", &mounted(&volume, "/certs"), &inner_image(), "true"])
        .ok();
    docker(&["cp", DIND_CA, &format!("{name}:/certs/")]).ok();
    docker(&["rm", &name]).ok();
    volume
}

#[test]
fn two_nodes_that_start_at_once_on_one_volume_serve_the_same_clients() {
    let volume = Volume::new();
    let place = mounted(&volume, "/certs");
    let options = [&CERTDIR[..], &["--volume", &place]].concat();
    let nodes = std::thread::scope(|scope| {
        let start = || scope.spawn(|| Node::start(&options, SLEEP));
        let started = [start(), start(), start()];
        started.map(|node| node.join().unwrap())
    });
    nodes.iter().for_each(|node| _ = node.until_running());
    for client in nodes.iter().map(Client::of) {
        nodes.iter().for_each(|node| client.gets_in(node));
    }
}

/// GitLab's `volumes = ["/certs/client", "/cache"]`: a job's container has the volume, and finds the engine by a name.
#[test]
fn a_job_that_shares_the_volume_of_the_clients_gets_in_by_the_name_docker() {
    let volume = Volume::new();
    let node = Node::start(&[&CERTDIR[..], &["--volume", &mounted(&volume, "/certs/client")]].concat(), &[]);
    let job = unique("job");
    let link = format!("{}:docker", node.name);
    let run =
        ["run", "--detach", "--name", &job, "--link", &link, "--volume", &mounted(&volume, "/certs/client")];
    let variables =
        ["DOCKER_HOST=tcp://docker:2376", "DOCKER_TLS_VERIFY=1", "DOCKER_CERT_PATH=/certs/client"];
    let variables = variables.iter().flat_map(|variable| ["--env", variable]).collect::<Vec<_>>();
    let script = "until docker info >/dev/null 2>&1; do sleep 0.1; done; docker version --format '{{.Server.Version}}'";
    let image = image();
    let words = ["--entrypoint", "sh", &image, "-c", script];
    docker(&[&run[..], &variables, &words].concat()).ok();
    eventually("the job has ended", LIMIT, || {
        let state = docker(&["inspect", "--format", "{{.State.Status}}", &job]).ok();
        (state == "exited").then_some(())
    });
    let log = docker(&["logs", &job]);
    docker(&["rm", "--force", "--volumes", &job]).ok();
    assert_eq!(log.stdout, node.record()["engine_version"].as_str().unwrap(), "{log:?}");
}

#[test]
fn a_ca_that_the_user_brings_signs_and_stays_as_it_is() {
    let volume = of_docker_dind();
    let node = Node::start(&[&CERTDIR[..], &["--volume", &mounted(&volume, "/certs")]].concat(), SLEEP);
    node.until_running();
    let client = Client::of(&node);
    let brought = fs::read_to_string(format!("{DIND_CA}/cert.pem")).unwrap();
    assert_eq!(fs::read_to_string(client.file("ca.pem")).unwrap(), brought);
    client.gets_in(&node);
    // The key came with the mode that a copy gives it.
    let warnings = node.record()["warnings"].clone();
    assert!(
        warnings.as_array().unwrap().iter().any(|warning| warning["code"] == "tls-key-readable"),
        "{warnings}"
    );
}

#[test]
fn a_volume_that_is_read_only_will_do_with_certificates_and_fails_without() {
    let volume = Volume::new();
    let read_only = mounted(&volume, "/certs:ro");
    let options = [&CERTDIR[..], &["--hostname", "node", "--volume", &read_only]].concat();
    let node = Node::start(&options, SLEEP);
    assert_eq!(node.exit_status(), 125);
    assert!(node.log().contains("cannot make certificates in `/certs`"), "{}", node.log());
    let record = node.last_record();
    let stages: Vec<_> = record["stages"].as_array().unwrap().iter().map(|stage| &stage["name"]).collect();
    assert!(!stages.contains(&&"storage".into()), "nothing has changed by then: {stages:?}");
    // A server's certificate without the key of its CA: the user's own.
    let maker = Node::start(
        &[&CERTDIR[..], &["--hostname", "node", "--volume", &mounted(&volume, "/certs")]].concat(),
        SLEEP,
    );
    maker.until_running();
    let client = Client::of(&maker);
    maker.exec(&["rm", "-r", "/certs/ca", "/certs/client"]).ok();
    drop(maker);
    let node = Node::start(&options, SLEEP);
    node.until_running();
    let document = node.record()["documents"]["tls"].clone();
    assert_eq!((&document["result"]["made_by"], &document["changed"]), (&"user".into(), &false.into()));
    // It has the name of the first node, and perhaps another address.
    let version = client.docker(&address_of(&node.name), &["version"]);
    assert!(version.status == 0 || version.stderr.contains("certificate is valid for"), "{version:?}");
}
