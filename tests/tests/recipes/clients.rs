//! Clients of a node over TLS: the docker command of three generations, buildx, and Python's packages.

use crate::{NEWEST, client, client_program, example};
use dind_tests::outer::{LIMIT, Node, Volume, address_of, docker, engine_pid, inner_image};
use dind_tests::{eventually, scratch};
use std::process::Command;

/// A node with a TCP socket, and the certificates for its clients.
struct Served {
    node: Node,
    certificates: Volume,
}

impl Served {
    fn start() -> Self {
        let certificates = Volume::new();
        let volume = format!("{}:/certs/client", certificates.name);
        let node = Node::start(&["--env", "DOCKER_TLS_CERTDIR=/certs", "--volume", &volume], &[]);
        node.until_running();
        Self { node, certificates }
    }

    fn host(&self) -> String {
        format!("tcp://{}:2376", address_of(&self.node.name))
    }

    /// The options of a client's container.
    fn options(&self) -> [String; 4] {
        [
            format!("--env=DOCKER_HOST={}", self.host()),
            "--env=DOCKER_TLS_VERIFY=1".to_owned(),
            "--env=DOCKER_CERT_PATH=/certs/client".to_owned(),
            format!("--volume={}:/certs/client:ro", self.certificates.name),
        ]
    }
}

#[test]
fn the_docker_command_of_three_generations_uses_the_engine() {
    let served = Served::start();
    let options = served.options();
    let options: Vec<_> = options.iter().map(String::as_str).collect();
    for (major, version) in [("20", "20.10"), ("26", "26.1"), ("28", "28.")] {
        let found = client(major, &options, &["version", "--format", "{{.Client.Version}}"]).ok();
        assert!(found.starts_with(version), "{found}");
        let run = ["run", "--rm", "--volume", "/:/node:ro", &inner_image(), "cat", "/node/etc/hostname"];
        let hostname = docker(&["inspect", "--format", "{{.Config.Hostname}}", &served.node.name]).ok();
        assert_eq!(client(major, &options, &run).ok(), hostname, "{version}");
    }
}

#[test]
fn buildx_builds_on_the_node_as_a_remote_builder() {
    let served = Served::start();
    let endpoint = format!(
        "host={},ca=/certs/client/ca.pem,cert=/certs/client/cert.pem,key=/certs/client/key.pem",
        served.host()
    );
    let volume = format!("--volume={}:/certs/client:ro", served.certificates.name);
    let script = "set -eu\ndocker context create node --docker \"$1\" >&2\n\
                  printf 'FROM %s\\nRUN echo built >/file\\nCMD [\"cat\", \"/file\"]\\n' \"$2\" >Dockerfile\n\
                  docker --context node buildx build --tag from-afar . >&2\n\
                  exec docker --context node run --rm from-afar";
    let command = ["sh", "-c", script, "sh", &endpoint, &inner_image()];
    // A DOCKER_HOST would win over the context.
    let options = [&volume, "--workdir=/tmp", "--entrypoint="];
    assert_eq!(client(NEWEST, &options, &command).ok(), "built");
    assert!(served.node.inner(&["images", "--quiet", "from-afar"]).len() > 1, "the image is on the node");
}

#[test]
fn the_recipe_s_python_program_starts_its_containers_on_the_node() {
    let served = Served::start();
    let directory = scratch();
    let certificates = directory.path().join("client");
    let from = format!("{}:/certs/client", served.node.name);
    docker(&["cp", &from, certificates.to_str().unwrap()]).ok();
    let python = client_program("python/bin/python3");
    let program = example("clients/containers.py");
    let ended: dind_tests::outer::Ended = Command::new("nsenter")
        .args(["--target", &engine_pid(), "--net", "--"])
        .args([&python, &program])
        .arg(inner_image())
        .env("DOCKER_HOST", served.host())
        // Where it is set, the package requests asks it in place of the node's authority.
        .env_remove("REQUESTS_CA_BUNDLE")
        .env_remove("CURL_CA_BUNDLE")
        .envs([("DOCKER_TLS_VERIFY", "1"), ("TESTCONTAINERS_RYUK_DISABLED", "true")])
        .env("DOCKER_CERT_PATH", &certificates)
        .output()
        .unwrap()
        .into();
    let version = served.node.inner(&["version", "--format", "{{.Server.Version}}"]);
    assert_eq!(ended.ok().lines().collect::<Vec<_>>(), [&format!("hello from {version}"), "served"]);
    eventually("both have removed what they started", LIMIT, || {
        served.node.inner(&["ps", "--all", "--quiet"]).is_empty().then_some(())
    });
}
