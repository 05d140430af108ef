//! The sets as pods.

use super::Set;
use super::sets::{NO_APPARMOR, added, without_module};
use crate::doctor::facts::Observed;
use crate::doctor::report::Alternative;

/// From containerd 2.1 on, a pod's cgroup can be written to without `privileged` (docs/cri/config.md, `cgroup_writable`). runc gives it to
/// root of the pod where systemd makes it; groups that it makes itself stay the machine's.
const RUNTIME_CLASS: &str = "\
# On each machine, in containerd's config.toml (containerd 2.1 or newer):
#   [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.dind]
#     runtime_type = 'io.containerd.runc.v2'
#     cgroup_writable = true
#     options.SystemdCgroup = true
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata:
  name: dind
handler: dind
---
";

/// The pod, and what it needs. Nothing is known of the cluster here.
pub(super) fn alternative(set: Set, observed: &Observed, profile_file: &str) -> Alternative {
    Alternative {
        name: set.name().to_owned(),
        flags: Vec::new(),
        works: None,
        why: "from here it is not known what the cluster can have".to_owned(),
        possible: None,
        gives: set.gives().to_owned(),
        costs: costs(set),
        needs: needs(set, profile_file),
        daemon_json: None,
        manifest: Some(manifest(set, observed, profile_file)),
    }
}

fn costs(set: Set) -> Vec<String> {
    let costs: &[&str] = match set {
        Set::Rootless => &[
            "no bridged mode; no loop devices: the data root has to be a volume",
            "root in the node owns no program files; inner containers: no --privileged",
            "pings get out only with the pod's sysctl net.ipv4.ping_group_range, as `0 2147483647`",
        ],
        Set::Userns | Set::Reduced => {
            &["no loop devices: the data root has to be a volume", "inner containers: no --privileged"]
        }
        Set::Privileged => &["root in the node is the machine's root"],
    };
    costs.iter().map(|cost| (*cost).to_owned()).collect()
}

fn needs(set: Set, profile_file: &str) -> Vec<String> {
    let profile = || {
        format!(
            "`result.seccomp_profile` of this document as the file /var/lib/kubelet/seccomp/{profile_file} on each machine"
        )
    };
    match set {
        Set::Userns => vec![
            "Kubernetes 1.33 or newer, or the feature gate UserNamespacesSupport; containerd 2.1, runc 1.2 and Linux 6.3, or newer"
                .to_owned(),
            "cgroup v2, and systemd as the cgroup driver of kubelet and containerd".to_owned(),
            profile(),
        ],
        Set::Rootless => vec![
            "procMount: Unmasked outside of a user namespace is refused by the Pod Security Standard `baseline`".to_owned(),
            profile(),
        ],
        Set::Reduced => vec![
            "cgroup v2: on v1, containerd gives a pod no rule for the console, and inner containers do not start".to_owned(),
            profile(),
        ],
        Set::Privileged => vec!["users of the node who can be trusted with the whole machine".to_owned()],
    }
}

fn manifest(set: Set, observed: &Observed, profile_file: &str) -> String {
    let (class, users) = match set {
        Set::Userns => (RUNTIME_CLASS, "  runtimeClassName: dind\n  hostUsers: false\n"),
        Set::Rootless | Set::Reduced | Set::Privileged => ("", ""),
    };
    let context = match set {
        Set::Privileged => "        privileged: true\n".to_owned(),
        Set::Userns | Set::Rootless | Set::Reduced => {
            let capabilities = match set {
                Set::Rootless => "        procMount: Unmasked\n".to_owned(),
                _ => format!(
                    "        capabilities:\n          add: [{}]\n",
                    added(observed).collect::<Vec<_>>().join(", ")
                ),
            };
            let apparmor = match without_module(observed).contains(&NO_APPARMOR) {
                true => "        appArmorProfile:\n          type: Unconfined\n",
                false => "",
            };
            format!(
                "{capabilities}        seccompProfile:\n          type: Localhost\n          \
                 localhostProfile: {profile_file}\n{apparmor}"
            )
        }
    };
    let env = match set {
        Set::Rootless => "      env:\n        - name: DIND_USERNS\n          value: unshare\n",
        _ => "",
    };
    format!(
        "{class}apiVersion: v1\nkind: Pod\nmetadata:\n  name: node\nspec:\n{users}  containers:\n    - name: node\n      \
         image: dind:dev\n{env}      securityContext:\n{context}      volumeMounts:\n        - name: docker\n          \
         mountPath: /var/lib/docker\n  volumes:\n    - name: docker\n      emptyDir: {{}}\n"
    )
}
