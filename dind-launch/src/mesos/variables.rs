//! The variables that a Mesos agent gets by default, its resources among them: a pure function of the facts.

use super::Facts;
use dind_contract::Warning;

/// The agent's work directory; the image has a volume there. Not below the engine's data root, which only root may enter:
/// tasks of other users have their sandboxes in the work directory.
pub(super) const WORK_DIR: &str = "/var/lib/mesos";

/// What Mesos itself assumes where it cannot measure (src/slave/constants.hpp: `DEFAULT_CPUS`, `DEFAULT_MEM`, `DEFAULT_DISK`,
/// `DEFAULT_PORTS`). We assume it where the container has no limit: otherwise each agent would offer the whole
/// machine.
const CPU_MILLIS: u64 = 1000;
const MEMORY_MIB: u64 = 1024;
const DISK_MIB: u64 = 10 * 1024;
const PORTS: &str = "[31000-32000]";

const MIB: u64 = 1 << 20;

/// The least that tasks do not get: dockerd, containerd and the agent take about 200 MiB, and each task's `docker`
/// client 40.
const ENGINE_MIB: u64 = 256;

/// A variable with our value for it, and what the user should know if that value is used.
#[derive(Debug)]
pub(super) struct Variable {
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) warnings: Vec<Warning>,
}

pub(super) fn of_agent(facts: &Facts, disk_bytes: Option<u64>, socket: &str) -> Vec<Variable> {
    let plain = |name, value: &str| Variable { name, value: value.to_owned(), warnings: Vec::new() };
    vec![
        // Inner containers are what a node is for; the second one is there for frameworks that insist on it.
        plain("MESOS_CONTAINERIZERS", "docker,mesos"),
        plain("MESOS_DOCKER_SOCKET", socket),
        // Its linux launcher destroys every cgroup below its root that it does not know: another agent's, where two
        // containers see the same tree.
        plain("MESOS_CGROUPS_ROOT", &format!("mesos-{}", facts.identity)),
        // There is no systemd in the container, whatever the machine's files look like.
        plain("MESOS_SYSTEMD_ENABLE_SUPPORT", "false"),
        work_dir(facts),
        resources(facts, disk_bytes),
    ]
}

fn work_dir(facts: &Facts) -> Variable {
    let warning = || {
        Warning::new(
            "mesos-work-dir-in-layer",
            format!(
                "the agent's work directory {WORK_DIR} is not on a volume: it is lost with the container"
            ),
            format!(
                "mount a volume there (-v agent:{WORK_DIR}), or set MESOS_WORK_DIR to a directory on one"
            ),
        )
    };
    let warnings = (!facts.work_dir_on_volume).then(warning).into_iter().collect();
    Variable { name: "MESOS_WORK_DIR", value: WORK_DIR.to_owned(), warnings }
}

fn resources(facts: &Facts, disk_bytes: Option<u64>) -> Variable {
    let mut missing = Vec::new();
    let mut or = |found: Option<u64>, default, what| {
        found.unwrap_or_else(|| {
            missing.push(what);
            default
        })
    };
    let cpus = or(facts.limits.cpu_millis, CPU_MILLIS, "CPU (--cpus)");
    let memory = or(facts.limits.memory_bytes.map(for_tasks_mib), MEMORY_MIB, "memory (--memory)");
    let disk = disk_bytes.map_or(DISK_MIB, |bytes| bytes / MIB);
    let value = format!("cpus:{};mem:{memory};disk:{disk};ports:{PORTS}", thousandths(cpus));
    let message = format!(
        "the container has no limit of its own on {}: the agent offers `{value}`",
        missing.join(" and ")
    );
    let warnings = if missing.is_empty() {
        Vec::new()
    } else {
        vec![Warning::new(
            "mesos-limit-missing",
            message,
            "run the container with limits, or set MESOS_RESOURCES",
        )]
    };
    Variable { name: "MESOS_RESOURCES", value, warnings }
}

/// What tasks may have of a memory limit: all but an eighth, which is at least [`ENGINE_MIB`] and at most half of it.
fn for_tasks_mib(limit_bytes: u64) -> u64 {
    let limit = limit_bytes / MIB;
    limit - (limit / 8).max(ENGINE_MIB).min(limit / 2)
}

/// `1.5`, `2`: as short as people write it.
fn thousandths(millis: u64) -> String {
    let text = format!("{}.{:03}", millis / 1000, millis % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::Limits;

    #[test]
    fn resources_are_the_containers_own() {
        const GIB: u64 = 1 << 30;
        for (cpu_millis, memory_bytes, disk_bytes, expected) in [
            (Some(1500), Some(GIB), Some(5 * GIB), "cpus:1.5;mem:768;disk:5120"),
            (Some(250), Some(256 * MIB), Some(GIB), "cpus:0.25;mem:128;disk:1024"),
            (Some(8000), Some(16 * GIB), Some(100 * GIB), "cpus:8;mem:14336;disk:102400"),
            (Some(1), Some(4 * GIB), None, "cpus:0.001;mem:3584;disk:10240"),
            (None, None, Some(GIB), "cpus:1;mem:1024;disk:1024"),
        ] {
            let limits = Limits { cpu_millis, memory_bytes };
            let found = resources(&Facts { limits, ..Facts::default() }, disk_bytes);
            assert_eq!(found.value, format!("{expected};ports:[31000-32000]"));
            assert_eq!(found.warnings.len(), usize::from(cpu_millis.is_none()), "{expected}");
        }
    }

    #[test]
    fn a_missing_limit_is_named_with_its_flag() {
        let limits = Limits { cpu_millis: Some(2000), memory_bytes: None };
        let found = resources(&Facts { limits, ..Facts::default() }, None);
        assert!(
            found.warnings[0].message.contains("no limit of its own on memory (--memory): "),
            "{found:?}"
        );
    }

    #[test]
    fn a_work_directory_in_the_layer_is_a_warning() {
        let codes =
            |work_dir_on_volume| work_dir(&Facts { work_dir_on_volume, ..Facts::default() }).warnings.len();
        assert_eq!((codes(true), codes(false)), (0, 1));
    }
}
