//! What is around a pod's containers: the sandbox, as a kubelet asks for it, and the control groups.

use crate::names::{DOMAIN, NAME_SERVER};
use crate::translate;
use dind_system::Root;
use dind_system::proc;
use dind_tests::manifest::items;
use k8s_cri::v1::{
    DnsConfig, LinuxPodSandboxConfig, LinuxSandboxSecurityContext, PodSandboxConfig, PodSandboxMetadata,
    PortMapping,
};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The sandbox. The name server is the cluster's.
pub(crate) fn config(name: &str, spec: &Value, directory: &Path) -> PodSandboxConfig {
    let all = || items(&spec["initContainers"]).chain(items(&spec["containers"]));
    let ports = all().flat_map(|container| items(&container["ports"]));
    let ports = ports.filter(|port| port["hostPort"].is_number()).map(|port| PortMapping {
        container_port: port["containerPort"].as_i64().unwrap() as i32,
        host_port: port["hostPort"].as_i64().unwrap() as i32,
        ..PortMapping::default()
    });
    let search = [DOMAIN, "svc.cluster.local", "cluster.local"];
    PodSandboxConfig {
        metadata: Some(PodSandboxMetadata {
            name: name.to_owned(),
            uid: name.to_owned(),
            namespace: "default".to_owned(),
            attempt: 0,
        }),
        hostname: name.to_owned(),
        log_directory: directory.join("logs").display().to_string(),
        dns_config: Some(DnsConfig {
            servers: vec![NAME_SERVER.to_owned()],
            searches: search.map(str::to_owned).to_vec(),
            options: vec!["ndots:5".to_owned()],
        }),
        port_mappings: ports.collect(),
        linux: Some(LinuxPodSandboxConfig {
            cgroup_parent: format!("/{name}"),
            security_context: Some(LinuxSandboxSecurityContext {
                namespace_options: Some(translate::namespaces()),
                privileged: all().any(|container| container["securityContext"]["privileged"] == true),
                ..LinuxSandboxSecurityContext::default()
            }),
            ..LinuxPodSandboxConfig::default()
        }),
        ..PodSandboxConfig::default()
    }
}

/// A pod's group in each hierarchy. A kubelet makes it.
pub(crate) fn cgroup_directories(name: &str) -> impl Iterator<Item = PathBuf> {
    let mounts = proc::mounts(&Root::default()).unwrap().into_iter();
    let hierarchies = mounts.filter(|mount| mount.kind.starts_with("cgroup"));
    hierarchies.map(move |mount| mount.point.join(name))
}
