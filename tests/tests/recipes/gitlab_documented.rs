//! The forms of GitLab's pages "Use Docker-in-Docker" and "Use Docker to build Docker images", with our image's name for theirs and
//! nothing else changed, but for clear text on TCP.

use crate::gitlab::Project;
use crate::{NEWEST, client};
use dind_tests::outer::{LIMIT, Node, Volume, docker, inner_image};
use dind_tests::pages::Page;
use dind_tests::{eventually, seconds, unique};

/// A job that builds and tests as the page's does. `default` and `variables` are lines of YAML.
fn job(service: &str, variables: &str) -> Project {
    Project::new(&format!(
        "default:\n  image: docker:cli\n  services:\n{service}  before_script:\n    - docker info\n\
         {variables}build:\n  stage: build\n  script:\n    - docker build -t my-docker-image .\n    \
         - docker run my-docker-image /script/to/run/tests\n"
    ))
}

/// With an alias, as our page has it: the name of our image is not `docker`.
fn service() -> String {
    let page = Page::of("dind-launch/examples/gitlab/README.md");
    page.block("  services:\n").text.split_inclusive('\n').skip(1).collect()
}

#[test]
fn tls_by_the_directory_alone() {
    job(&service(), "variables:\n  DOCKER_TLS_CERTDIR: \"/certs\"\n").passes("build", &[]);
}

#[test]
fn tls_by_all_variables() {
    let variables = "variables:\n  DOCKER_HOST: tcp://docker:2376\n  DOCKER_TLS_CERTDIR: \"/certs\"\n  \
                     DOCKER_TLS_VERIFY: 1\n  DOCKER_CERT_PATH: \"$DOCKER_TLS_CERTDIR/client\"\n";
    let service = format!("{}      variables:\n        HEALTHCHECK_TCP_PORT: \"2376\"\n", service());
    job(&service, variables).passes("build", &[]);
}

#[test]
fn no_tls_needs_one_variable_more_and_the_log_names_it() {
    let variables = "variables:\n  DOCKER_HOST: tcp://docker:2375\n  DOCKER_TLS_CERTDIR: \"\"\n";
    let project = job(&service(), variables);
    let refused = project.run("build", &["--wait-for-services-timeout", "3"]);
    assert_ne!(refused.status, 0, "{refused:?}");
    let log = project.log_of_services("build");
    assert!(log.contains("DIND_INSECURE_TCP"), "{log}");
    project.passes("build", &["--variable", "DIND_INSECURE_TCP=true"]);
}

/// As GitLab's own templates have it.
#[test]
fn no_tls_by_flags_needs_the_same_variable() {
    let variables = "variables:\n  DOCKER_HOST: tcp://docker:2375\n  DOCKER_TLS_CERTDIR: \"\"\n";
    let service = format!("{}      command: [\"--tls=false\", \"--host=tcp://0.0.0.0:2375\"]\n", service());
    job(&service, variables).passes("build", &["--variable", "DIND_INSECURE_TCP=true"]);
}

#[test]
fn a_unix_socket_on_a_shared_volume() {
    let variables = "variables:\n  DOCKER_HOST: \"unix:///runner/services/docker/docker.sock\"\n";
    // The runner waits for a port, and none is open.
    job(&service(), variables).passes("build", &["--wait-for-services-timeout", &seconds(8)]);
}

#[test]
fn without_any_variable_the_job_finds_no_engine() {
    let refused = job(&service(), "").run("build", &["--wait-for-services-timeout", "1"]);
    assert_ne!(refused.status, 0, "{refused:?}");
    let said = format!("{}{}", refused.stdout, refused.stderr);
    assert!(said.contains("tcp://docker:2375"), "{said}");
}

#[test]
fn flags_of_the_engine_as_the_service_s_command() {
    let service = format!(
        "{}      command: [\"--registry-mirror\", \"https://registry-mirror.example.com\"]\n",
        service()
    );
    let project = job(&service, "variables:\n  DOCKER_TLS_CERTDIR: \"/certs\"\n");
    let output = project.passes("build", &[]);
    assert!(output.contains("https://registry-mirror.example.com/"), "{output}");
}

#[test]
fn a_daemon_json_that_the_runner_mounts_into_every_container() {
    let directory = dind_tests::scratch();
    let file = directory.path().join("daemon.json");
    std::fs::write(&file, r#"{"registry-mirrors": ["https://registry-mirror.example.com"]}"#).unwrap();
    let volume = format!("{}:/etc/docker/daemon.json:ro", file.display());
    let project = job(&service(), "variables:\n  DOCKER_TLS_CERTDIR: \"/certs\"\n");
    let output = project.passes("build", &["--volume", &volume]);
    assert!(output.contains("https://registry-mirror.example.com/"), "{output}");
}

#[test]
fn the_storage_driver_by_a_variable() {
    let project =
        job(&service(), "variables:\n  DOCKER_DRIVER: overlay2\n  DOCKER_TLS_CERTDIR: \"/certs\"\n");
    let output = project.passes("build", &[]);
    assert!(output.contains("Storage Driver: overlay2"), "{output}");
}

/// The Docker executor shares the job's directory with its services.
#[test]
fn a_directory_of_the_job_is_mounted_into_a_container() {
    let project = Project::new(
        "build:\n  image: docker:cli\n  services:\n    - name: dind:dev\n      alias: docker\n  variables:\n    \
         DOCKER_TLS_CERTDIR: \"/certs\"\n  script:\n    - mkdir -p \"$CI_PROJECT_DIR/mnt\"\n    - echo the tests have run >\"$CI_PROJECT_DIR/mnt/file\"\n    \
         - until docker image inspect busybox >/dev/null; do sleep 0.1; done\n    \
         - docker run -v \"$CI_PROJECT_DIR/mnt:/mnt\" busybox cat /mnt/file\n",
    );
    project.passes("build", &[]);
}

/// The executor for Kubernetes: the service and the job are containers of one pod, and every name of a service is the pod's own
/// address. No entrypoint of the job's image is run.
#[test]
fn a_service_of_the_executor_for_kubernetes() {
    let tls = [
        "DOCKER_HOST=tcp://docker:2376",
        "DOCKER_TLS_CERTDIR=/certs",
        "DOCKER_TLS_VERIFY=1",
        "DOCKER_CERT_PATH=/certs/client",
    ];
    let clear = ["DOCKER_HOST=tcp://docker:2375", "DOCKER_TLS_CERTDIR=", "DIND_INSECURE_TCP=true"];
    for (variables, port) in [(&tls[..], "2376"), (&clear[..], "2375")] {
        let pod = unique("pod");
        let run = ["run", "--detach", "--name", &pod, "--add-host", "docker:127.0.0.1"];
        docker(&[&run[..], &[&inner_image(), "sleep", "infinity"]].concat()).ok();
        let pod = Node::named(pod);
        let (network, certificates) = (format!("--network=container:{}", pod.name), Volume::new());
        let volume = format!("--volume={}:/certs/client", certificates.name);
        let variables = variables.iter().flat_map(|variable| ["--env", variable]);
        let shared: Vec<_> = [network.as_str(), &volume].into_iter().chain(variables).collect();
        let service =
            Node::start(&[&shared[..], &["--env", &format!("HEALTHCHECK_TCP_PORT={port}")]].concat(), &[]);
        let script = format!("docker run --rm {} echo hello", inner_image());
        let hello = eventually("the job gets its answer", LIMIT, || {
            let job = client(NEWEST, &[&shared[..], &["--entrypoint=sh"]].concat(), &["-c", &script]);
            (job.status == 0).then_some(job.stdout)
        });
        assert_eq!(hello, "hello", "{}", service.log());
    }
}
