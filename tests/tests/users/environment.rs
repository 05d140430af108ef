//! What the user has set for other programs, and what nobody reads.

use dind_tests::eventually;
use dind_tests::outer::{LIMIT, Node, SLEEP, docker, inner_image};

#[test]
fn variables_of_the_user_s_own_programs_do_not_reach_our_calls() {
    let variables = [
        "DOCKER_TLS_VERIFY=1",
        "DOCKER_CERT_PATH=/nowhere",
        "DOCKER_CONTEXT=laptop",
        "DOCKER_CONFIG=/nowhere",
        "DOCKER_API_VERSION=1.12",
        "DOCKER_HOST=tcp://docker:2375",
        "DOCKER_DEFAULT_PLATFORM=linux/arm64",
        "BUILDKIT_HOST=tcp://nowhere:1",
        "HTTP_PROXY=http://127.0.0.1:9",
        "http_proxy=http://127.0.0.1:9",
        "ALL_PROXY=socks5://127.0.0.1:9",
        "TMPDIR=/nowhere",
        "TAR_OPTIONS=--nonsense",
        "LD_PRELOAD=/nowhere.so",
        "HOME=/nowhere",
        "PATH=/usr/local/bin:/usr/bin:/bin",
    ];
    let options: Vec<&str> = variables.iter().flat_map(|variable| ["--env", variable]).collect();
    let node = Node::start(&options, SLEEP);
    node.until_running();
    let record = node.record();
    assert_eq!(record["documents"]["preload"]["result"]["loaded"][0], "/preload/inner.tar");
    assert_eq!(node.inner(&["run", "--rm", "--publish", "80", &inner_image(), "echo", "hello"]), "hello");
    // dockerd keeps what is meant for it, and the main process keeps all.
    assert_eq!(node.inner(&["info", "--format", "{{.HTTPProxy}}"]), "http://127.0.0.1:9");
    let environment = node.exec(&["cat", &format!("/proc/{}/environ", record["main_pid"])]).ok();
    for variable in variables {
        assert!(environment.split('\0').any(|have| have == variable), "{variable}: {environment}");
    }
    assert_eq!(node.stop().0, 143, "{}", node.log());
}

/// apptainer/apptainer#2537, chainguard-images/images#516
#[test]
fn a_path_that_leaves_out_the_node_s_own_programs_is_no_obstacle() {
    let node = Node::start(&["--env", "PATH=/usr/bin:/bin", "--health-interval", "1s"], SLEEP);
    node.until_running();
    assert_eq!(node.inner(&["run", "--rm", "--publish", "80", &inner_image(), "echo", "hello"]), "hello");
    eventually("the node is healthy", LIMIT, || {
        let health = docker(&["inspect", "--format", "{{.State.Health.Status}}", &node.name]).ok();
        (health == "healthy").then_some(())
    });
    assert_eq!(node.stop().0, 143, "{}", node.log());
}

#[test]
fn a_misspelt_variable_is_warned_of_with_the_nearest_name() {
    let slips = [
        ("DOCKER_NETWORK_OFSET", "DOCKER_NETWORK_OFFSET"),
        ("DIND_STORAGE_BAKING", "DIND_STORAGE_BACKING"),
        ("DOCKER_OPTS", "DOCKER_DAEMON_ARGS"),
    ];
    let given = slips.map(|(slip, _)| format!("{slip}=x"));
    let quiet = ["DIND_SERVICE_HOST=10.0.0.1", "DIND_PORT_2375_TCP=tcp://10.0.0.1:2375", "LOG_LEVEL=x"];
    let all = given.iter().map(String::as_str).chain(quiet);
    let options: Vec<&str> = all.flat_map(|variable| ["--env", variable]).collect();
    let node = Node::start(&options, SLEEP);
    let warnings = node.until_running().record()["warnings"].take();
    let unknown = warnings.as_array().unwrap().iter().filter(|warning| warning["code"] == "variable-unknown");
    let unknown: Vec<String> = unknown.map(ToString::to_string).collect();
    assert_eq!(unknown.len(), slips.len(), "{unknown:?}");
    for (slip, right) in slips {
        assert!(
            unknown.iter().any(|warning| warning.contains(slip) && warning.contains(right)),
            "{unknown:?}"
        );
        assert!(node.log().contains(&format!("no tool reads the variable {slip}")), "{}", node.log());
    }
}
