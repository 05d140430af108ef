//! What the page of the official image docker:dind shows, with the image's name changed and nothing else.

use crate::{NEWEST, client};
use dind_tests::outer::{LIMIT, Network, Node, Volume, inner_image};
use dind_tests::{eventually, scratch, scratch_on_disk};

/// The volumes for the authority and for clients, as the page has them.
struct Certificates {
    authority: Volume,
    client: Volume,
}

impl Certificates {
    fn new() -> Self {
        Self { authority: Volume::new(), client: Volume::new() }
    }

    /// The page's options of the daemon.
    fn of_daemon(&self) -> Vec<String> {
        vec![
            "--network-alias=docker".to_owned(),
            "--env=DOCKER_TLS_CERTDIR=/certs".to_owned(),
            format!("--volume={}:/certs/ca", self.authority.name),
            format!("--volume={}:/certs/client", self.client.name),
        ]
    }

    /// The page's options of a client.
    fn of_client(&self) -> Vec<String> {
        vec![
            "--env=DOCKER_TLS_CERTDIR=/certs".to_owned(),
            format!("--volume={}:/certs/client:ro", self.client.name),
        ]
    }
}

fn words(options: &[String]) -> Vec<&str> {
    options.iter().map(String::as_str).collect()
}

/// A daemon as the page starts it, with more options and this command.
fn daemon(certificates: &Certificates, network: &Network, options: &[&str], command: &[&str]) -> Node {
    let of_daemon = certificates.of_daemon();
    let own = ["--network", &network.name];
    Node::start(&[&own[..], &words(&of_daemon), options].concat(), command)
}

/// What the client of the page answers, once the daemon is there.
fn ask(certificates: &Certificates, network: &Network, command: &[&str]) -> String {
    let of_client = certificates.of_client();
    let options = [&["--network", &network.name][..], &words(&of_client)].concat();
    eventually("the client gets its answer", LIMIT, || {
        let answer = client(NEWEST, &options, command);
        (answer.status == 0).then_some(answer.stdout)
    })
}

#[test]
fn a_daemon_with_tls_is_used_from_a_second_container() {
    let (network, certificates) = (Network::new("10.242.0.0/24", "10.242.0.0/24", &[]), Certificates::new());
    let _daemon = daemon(&certificates, &network, &[], &[]);
    assert!(ask(&certificates, &network, &["version"]).contains("Server"));
    assert!(ask(&certificates, &network, &["sh", "-c", "docker version"]).contains("Server"));
    assert!(ask(&certificates, &network, &["info"]).contains("Storage Driver: overlay2"));
    let run = ["run", "--rm", &inner_image(), "echo", "hello"];
    assert_eq!(ask(&certificates, &network, &run), "hello");
}

#[test]
fn flags_of_the_daemon_are_the_command() {
    let (network, certificates) = (Network::new("10.242.1.0/24", "10.242.1.0/24", &[]), Certificates::new());
    let node = daemon(&certificates, &network, &[], &["--storage-driver", "overlay2"]);
    assert!(ask(&certificates, &network, &["info"]).contains("Storage Driver: overlay2"));
    drop(node);
    let node =
        daemon(&certificates, &network, &[], &["--mtu=1400", "--registry-mirror", "https://mirror.test"]);
    let info = ask(&certificates, &network, &["info"]);
    assert!(info.contains("https://mirror.test/"), "{info}");
    let format = r#"{{index .Options "com.docker.network.driver.mtu"}}"#;
    assert_eq!(node.inner(&["network", "inspect", "--format", format, "bridge"]), "1400");
}

#[test]
fn dockerd_by_name_has_no_tcp_socket() {
    let (network, certificates) = (Network::new("10.242.2.0/24", "10.242.2.0/24", &[]), Certificates::new());
    for command in [&["dockerd"][..], &["dockerd", "--debug"]] {
        let node = daemon(&certificates, &network, &[], command);
        node.until_running();
        assert_eq!(node.inner(&["run", "--rm", &inner_image(), "echo", "hello"]), "hello");
        let listening = node.exec(&["sh", "-c", "cat /proc/net/tcp /proc/net/tcp6"]).ok();
        // 2375 and 2376; 0A is LISTEN.
        let open = listening.lines().filter(|line| line.contains(" 0A "));
        let open: Vec<_> = open.filter(|line| line.contains(":0947 ") || line.contains(":0948 ")).collect();
        assert_eq!(open, Vec::<&str>::new(), "{command:?}");
        assert!(node.log().contains("DOCKER_TLS_CERTDIR /certs is ignored"), "that is said: {}", node.log());
    }
}

#[test]
fn the_page_s_runtime_settings_are_taken() {
    // A private engine may not raise limits over its own: the page says so, too.
    let options = ["--ulimit", "core=-1", "--pids-limit", "-1", "--oom-score-adj", "500"];
    let node = Node::start(&options, &[]);
    node.until_running();
    assert_eq!(node.inner(&["run", "--rm", &inner_image(), "cat", "/proc/self/oom_score_adj"]), "0");
}

#[test]
fn a_directory_of_the_host_carries_the_data() {
    let directory = scratch_on_disk();
    let data = format!("{}:/var/lib/docker", directory.path().display());
    let node = Node::start(&["--volume", &data], &[]);
    node.until_running();
    node.inner(&["volume", "create", "kept"]);
    drop(node);
    let node = Node::start(&["--volume", &data], &[]);
    node.until_running();
    assert_eq!(node.inner(&["volume", "ls", "--quiet"]), "kept");
}

#[test]
fn the_socket_of_a_daemon_can_be_mounted_into_a_container() {
    let directory = scratch();
    let run = format!("{}:/var/run", directory.path().display());
    let node = Node::start(&["--volume", &run], &[]);
    node.until_running();
    let socket = format!("{}/docker.sock:/var/run/docker.sock", directory.path().display());
    let answer = client(NEWEST, &["--volume", &socket], &["run", "--rm", &inner_image(), "echo", "hello"]);
    assert_eq!(answer.ok(), "hello");
}
