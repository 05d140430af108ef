//! The blocks that run elsewhere: a page, how the block begins, and who runs it.

use dind_tests::pages::{Block, Page};
use std::fs;
use std::path::Path;

/// Who runs a block that the page's own shell does not run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Runner {
    /// This test of another suite.
    Test(&'static str),
    /// Nobody can here, for the reason that the page itself gives in these words.
    Nobody(&'static str),
}

use Runner::{Nobody, Test};

/// All of them.
pub(crate) const ELSEWHERE: &[(&str, &str, Runner)] = &[
    ("dind-launch/README.md", "#!/bin/sh", Test("observe::metrics::it_is_served_on_a_unix_socket_by_socat")),
    ("dind-launch/README.md", "socat ", Test("observe::metrics::it_is_served_on_a_unix_socket_by_socat")),
    (
        "dind-launch/README.md",
        "startupProbe:",
        Test("containerd::sidecar::what_still_runs_when_the_pod_is_deleted_may_end_by_itself"),
    ),
    (
        "dind-launch/README.md",
        "docker run --detach --privileged --env DIND_STAGES",
        Test("piecemeal::stage::the_stage_of_the_contract_gives_the_engine_a_mirror"),
    ),
    ("dind-launch/contract/README.md", "#!/bin/sh", Test("chain::stages::the_stage_of_the_readme_works")),
    ("dind-launch/contract/README.md", "MIRROR=", Test("chain::stages::the_stage_of_the_readme_works")),
    (
        "dind-launch/docs/mesos.md",
        "docker run -d --privileged --cpus",
        Test("mesos::an_agent_offers_its_limits_and_keeps_its_tasks_over_a_stop_by_term"),
    ),
    (
        "dind-launch/docs/run-flags.md",
        "group=/sys/fs/cgroup",
        Test("vm::blocked::a_group_that_the_host_gives_away_carries_a_node"),
    ),
    (
        "dind-launch/docs/run-flags.md",
        "docker exec node docker run --detach --privileged --cgroupns",
        Test("vm::systemd::systemd_runs_in_an_inner_container_and_the_node_s_stop_is_its_shutdown"),
    ),
    (
        "dind-launch/docs/run-flags.md",
        "iptables --insert DOCKER-USER",
        Test("podman::network::networks_of_podman_s_that_come_later_do_not_collide_with_those_in_the_node"),
    ),
    (
        "dind-launch/docs/run-flags.md",
        "docker save dind:dev | podman load",
        Test("podman::flags::the_readme_s_commands_for_podman_do_what_it_says"),
    ),
    (
        "dind-launch/examples/actions-runner/README.md",
        "kubectl create",
        Nobody("The chart, the controller, the runner and a cluster were not there."),
    ),
    (
        "dind-launch/examples/clients/README.md",
        "docker network create tests",
        Test("recipes::clients::the_docker_command_of_three_generations_uses_the_engine"),
    ),
    (
        "dind-launch/examples/clients/README.md",
        "docker run --rm --network tests",
        Test("recipes::clients::the_docker_command_of_three_generations_uses_the_engine"),
    ),
    (
        "dind-launch/examples/clients/README.md",
        "docker context create",
        Test("recipes::clients::buildx_builds_on_the_node_as_a_remote_builder"),
    ),
    (
        "dind-launch/examples/compose-service/README.md",
        "docker-compose up",
        Test("recipes::compose::the_job_runs_when_its_engine_is_healthy_with_compose_2"),
    ),
    (
        "dind-launch/examples/compose/README.md",
        "docker-compose up",
        Test("mesos::the_example_s_cluster_runs_tasks_in_its_inner_engines"),
    ),
    (
        "dind-launch/examples/compose/README.md",
        "(echo",
        Test("mesos::the_example_s_cluster_runs_tasks_in_its_inner_engines"),
    ),
    (
        "dind-launch/examples/devcontainer/README.md",
        "cp --recursive dind-launch",
        Test("recipes::devcontainer::the_feature_makes_an_image_a_docker_host_for_its_user"),
    ),
    (
        "dind-launch/examples/gitlab/README.md",
        "gitlab-runner register",
        Nobody("gitlab-runner itself was not run"),
    ),
    (
        "dind-launch/examples/gitlab/README.md",
        "  services:",
        Test("recipes::gitlab_documented::tls_by_the_directory_alone"),
    ),
    (
        "dind-launch/examples/jenkins/README.md",
        "docker build --tag jenkins",
        Test("recipes::jenkins::the_agent_runs_as_its_own_user_and_uses_the_engine"),
    ),
    (
        "dind-launch/examples/kubernetes-sidecar/README.md",
        "kubectl apply --filename pod.yaml",
        Nobody("A kubelet and a cluster were not there."),
    ),
    (
        "dind-launch/examples/kubernetes-sidecar/README.md",
        "kubectl apply --filename pod-tls.yaml",
        Nobody("A kubelet and a cluster were not there."),
    ),
    (
        "dind-launch/examples/kubernetes/README.md",
        "kubectl apply",
        Nobody("that does not run it on a cluster"),
    ),
];

/// Who runs a block elsewhere.
pub(crate) fn of(page: &Page, block: &Block) -> Option<Runner> {
    let listed =
        ELSEWHERE.iter().find(|(path, first, _)| page.path == *path && block.text.starts_with(first));
    listed.map(|(_, _, runner)| *runner)
}

/// Whether a test that is named here exists.
pub(crate) fn exists(test: &str) -> bool {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let (module, name) = test.rsplit_once("::").unwrap();
    let file = tests.join(module.replace("::", "/"));
    let file = if file.is_dir() { file.join("main.rs") } else { file.with_extension("rs") };
    fs::read_to_string(file).is_ok_and(|text| text.contains(&format!("fn {name}(")))
}
