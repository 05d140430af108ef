//! A pod's manifest in the words of CRI, field by field as a kubelet says it. A field that is not known here fails: what is not
//! translated would not be tested.
//!
//! Read in Kubernetes 1.31: `pkg/kubelet/kuberuntime/{kuberuntime_container.go,security_context.go,helpers.go}`, and
//! `pkg/securitycontext/util.go`.

use crate::client;
use dind_tests::manifest::{items, keys, text, words};
use k8s_cri::v1::security_profile::ProfileType;
use k8s_cri::v1::{
    Capability, ContainerConfig, ContainerMetadata, Int64Value, KeyValue, LinuxContainerConfig,
    LinuxContainerResources, LinuxContainerSecurityContext, Mount, NamespaceMode, NamespaceOption,
    SecurityProfile,
};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// What a kubelet hides, and what it makes unwritable, where `procMount` does not say otherwise.
const MASKED: [&str; 10] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
];
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// What a container's manifest may have here.
const CONTAINER: [&str; 12] = [
    "name",
    "image",
    "command",
    "args",
    "env",
    "resources",
    "securityContext",
    "volumeMounts",
    "ports",
    "startupProbe",
    "lifecycle",
    "restartPolicy",
];
const SECURITY: [&str; 7] = [
    "privileged",
    "capabilities",
    "procMount",
    "seccompProfile",
    "appArmorProfile",
    "runAsUser",
    "runAsGroup",
];

/// A container, as the attempt of this number to run it. `volume` has the directories of the pod's volumes on the machine, and
/// `profiles` is a kubelet's directory of seccomp profiles.
pub(crate) fn container(
    container: &Value,
    attempt: u32,
    volume: impl Fn(&str) -> PathBuf,
    profiles: &Path,
) -> ContainerConfig {
    only(container, &CONTAINER);
    let name = text(&container["name"]);
    let variables: Vec<_> = items(&container["env"])
        .map(|variable| KeyValue { key: text(&variable["name"]), value: text(&variable["value"]) })
        .collect();
    // $(NAME) is a variable of the container.
    let expand = |word: String| {
        variables.iter().fold(word, |word, one| word.replace(&format!("$({})", one.key), &one.value))
    };
    let mounts = items(&container["volumeMounts"]).map(|mount| Mount {
        container_path: text(&mount["mountPath"]),
        host_path: volume(&text(&mount["name"])).display().to_string(),
        readonly: mount["readOnly"] == true,
        ..Mount::default()
    });
    ContainerConfig {
        metadata: Some(ContainerMetadata { name: name.clone(), attempt }),
        image: Some(client::of(&text(&container["image"]))),
        // `command` is in the place of the entrypoint, and `args` in that of the command.
        command: words(&container["command"]).into_iter().map(&expand).collect(),
        args: words(&container["args"]).into_iter().map(&expand).collect(),
        mounts: mounts.collect(),
        log_path: format!("{name}/{attempt}.log"),
        linux: Some(LinuxContainerConfig {
            resources: Some(resources(&container["resources"]["limits"])),
            security_context: Some(security(&container["securityContext"], profiles)),
        }),
        envs: variables,
        ..ContainerConfig::default()
    }
}

/// The namespaces of a pod's containers: the network and IPC are shared, processes are not.
pub(crate) fn namespaces() -> NamespaceOption {
    NamespaceOption {
        network: NamespaceMode::Pod.into(),
        pid: NamespaceMode::Container.into(),
        ipc: NamespaceMode::Pod.into(),
        ..NamespaceOption::default()
    }
}

/// The limits, as plain numbers: of bytes and of processors. What a pod does not request, it requests as much of as its limit is.
fn resources(limits: &Value) -> LinuxContainerResources {
    let (memory, processors) = (limits["memory"].as_i64(), limits["cpu"].as_i64());
    let mut resources =
        LinuxContainerResources { oom_score_adj: oom_score(memory, processors), ..Default::default() };
    if let Some(bytes) = memory {
        resources.memory_limit_in_bytes = bytes;
    }
    if let Some(processors) = processors {
        resources.cpu_period = 100_000;
        resources.cpu_quota = processors * resources.cpu_period;
        resources.cpu_shares = processors * 1024;
    }
    resources
}

/// How willingly the kernel is to end the container's processes: by the class of the pod's quality of service, which is `Guaranteed` with
/// both limits, and else by its part of the machine's memory (`pkg/kubelet/qos/policy.go`).
fn oom_score(memory: Option<i64>, processors: Option<i64>) -> i64 {
    let Some(memory) = memory else { return 1000 };
    if processors.is_some() {
        return -997;
    }
    let text = fs::read_to_string("/proc/meminfo").unwrap();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next());
    let total = total.unwrap().parse::<i64>().unwrap() * 1024;
    (1000 - 1000 * memory / total).clamp(2, 999)
}

fn security(context: &Value, profiles: &Path) -> LinuxContainerSecurityContext {
    only(context, &SECURITY);
    let id = |field: &str| context[field].as_i64().map(|value| Int64Value { value });
    let paths = |paths: &[&str]| match context["procMount"] == "Unmasked" {
        true => Vec::new(),
        false => paths.iter().map(|path| (*path).to_owned()).collect(),
    };
    LinuxContainerSecurityContext {
        capabilities: Some(Capability {
            add_capabilities: words(&context["capabilities"]["add"]),
            drop_capabilities: words(&context["capabilities"]["drop"]),
            ..Capability::default()
        }),
        privileged: context["privileged"] == true,
        namespace_options: Some(namespaces()),
        run_as_user: id("runAsUser"),
        run_as_group: id("runAsGroup"),
        masked_paths: paths(&MASKED),
        readonly_paths: paths(&READ_ONLY),
        seccomp: profile(&context["seccompProfile"], profiles)
            .or(Some(SecurityProfile { profile_type: ProfileType::Unconfined.into(), ..Default::default() })),
        apparmor: profile(&context["appArmorProfile"], profiles),
        ..LinuxContainerSecurityContext::default()
    }
}

fn profile(profile: &Value, profiles: &Path) -> Option<SecurityProfile> {
    let (kind, file) = match profile["type"].as_str()? {
        "RuntimeDefault" => (ProfileType::RuntimeDefault, String::new()),
        "Unconfined" => (ProfileType::Unconfined, String::new()),
        "Localhost" => {
            let file = profiles.join(text(&profile["localhostProfile"]));
            (ProfileType::Localhost, file.display().to_string())
        }
        other => panic!("unknown type of a profile: {other}"),
    };
    Some(SecurityProfile { profile_type: kind.into(), localhost_ref: file })
}

/// Fails at a field that nobody looks at.
pub(crate) fn only(object: &Value, known: &[&str]) {
    for key in keys(object) {
        assert!(known.contains(&key.as_str()), "`{key}` is not translated: {object}");
    }
}
