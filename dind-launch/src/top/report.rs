//! What was used between two looks, against what the node may use.

use super::sample::Sample;
use crate::usage::disk::Disk;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Instant;

/// The node and the inner containers that run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Top {
    /// The node, with all that runs in it.
    pub node: NodeUse,
    /// The inner containers, those first that use most of the processors.
    pub containers: Vec<ContainerUse>,
    /// Why the engine could not be asked for them.
    pub error: Option<String>,
}

/// What the node uses. Nothing, here and below, where the kernel does not count it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeUse {
    /// Processors in use: 1.5 is one and a half of them, all the time.
    pub cpus: Option<f64>,
    /// Processors that it may use: its limit, or all of the machine's.
    pub cpus_limit: Option<f64>,
    /// Memory in use, without files that the kernel could drop at once.
    pub memory_bytes: Option<u64>,
    /// Memory that it may use: its limit, or all of the machine's.
    pub memory_limit_bytes: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// How many it may have.
    pub pids_limit: Option<u64>,
    /// The file system of the data root.
    pub disk: Option<Disk>,
}

/// What an inner container uses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ContainerUse {
    /// The full id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// Processors in use; nothing for one that has just started.
    pub cpus: Option<f64>,
    /// Memory in use.
    pub memory_bytes: Option<u64>,
    /// Memory that it may use: its limit, or all of the node's.
    pub memory_limit_bytes: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// Bytes of its writable layer; nothing until the engine has counted them.
    pub disk_bytes: Option<u64>,
}

impl Top {
    /// Compares two looks. `sizes` are those of the writable layers, by id.
    pub(super) fn between(before: &Sample, after: &Sample, sizes: &BTreeMap<String, u64>) -> Self {
        let node = NodeUse::between(before, after);
        let earlier: BTreeMap<_, _> = before
            .containers
            .iter()
            .filter_map(|(listed, seen)| Some((listed.id.as_str(), seen.as_ref()?)))
            .collect();
        let mut containers: Vec<_> = after
            .containers
            .iter()
            .map(|(listed, seen)| {
                let now = seen.as_ref();
                let then = earlier.get(listed.id.as_str());
                let cpu = |seen: &(Instant, _)| rate_point(seen);
                ContainerUse {
                    id: listed.id.clone(),
                    name: listed.name().to_owned(),
                    image: listed.image.clone(),
                    cpus: then.copied().and_then(cpu).zip(now.and_then(cpu)).and_then(rate),
                    memory_bytes: now.and_then(|(_, usage)| usage.memory_bytes),
                    // The engine gives the machine's memory for one without a limit, and does not know the node's.
                    memory_limit_bytes: now
                        .and_then(|(_, usage)| usage.memory_limit_bytes)
                        .into_iter()
                        .chain(node.memory_limit_bytes)
                        .min(),
                    pids: now.and_then(|(_, usage)| usage.pids),
                    disk_bytes: sizes.get(&listed.id).copied(),
                }
            })
            .collect();
        containers.sort_by(|one, other| {
            let by_cpu = other.cpus.unwrap_or(-1.0).total_cmp(&one.cpus.unwrap_or(-1.0));
            let by_memory = || other.memory_bytes.cmp(&one.memory_bytes);
            by_cpu.then_with(by_memory).then_with(|| one.name.cmp(&other.name))
        });
        Self { node, containers, error: after.error.clone() }
    }
}

impl NodeUse {
    fn between(before: &Sample, after: &Sample) -> Self {
        let point = |sample: &Sample| {
            let (at, usage) = sample.node?;
            Some((at, usage.cpu?.as_nanos() as u64))
        };
        let usage = after.node.map(|(_, usage)| usage).unwrap_or_default();
        Self {
            cpus: point(before).zip(point(after)).and_then(rate),
            cpus_limit: usage.cpu_millis.map(|millis| millis as f64 / 1000.0),
            memory_bytes: usage.memory_bytes,
            memory_limit_bytes: usage.memory_limit_bytes,
            pids: usage.pids,
            pids_limit: usage.pids_limit,
            disk: after.disk,
        }
    }
}

/// A moment, and the processor time in nanoseconds by then.
type Point = (Instant, u64);

fn rate_point((at, usage): &(Instant, crate::usage::engine::ContainerUsage)) -> Option<Point> {
    Some((*at, usage.cpu_ns?))
}

/// Processors in use between two points. A container that has been started again counts anew, and has no rate.
fn rate(((from, before), (to, after)): (Point, Point)) -> Option<f64> {
    let elapsed = to.saturating_duration_since(from).as_nanos() as f64;
    let used = after.checked_sub(before)? as f64;
    // Thousandths are enough, and the same in every document.
    (elapsed > 0.0).then(|| (used / elapsed * 1000.0).round() / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::engine::{ContainerUsage, Listed};
    use crate::usage::node::NodeUsage;
    use std::time::Duration;

    fn sample(at: Instant, node_ms: u64, containers: &[(&str, Option<u64>, u64)]) -> Sample {
        let usage = NodeUsage {
            cpu: Some(Duration::from_millis(node_ms)),
            cpu_millis: Some(1500),
            ..NodeUsage::default()
        };
        let of = |(id, cpu_ms, memory): &(&str, Option<u64>, u64)| {
            let listed = Listed { id: (*id).to_owned(), ..Listed::default() };
            let usage = ContainerUsage {
                cpu_ns: cpu_ms.map(|ms| ms * 1_000_000),
                memory_bytes: Some(*memory),
                ..ContainerUsage::default()
            };
            (listed, Some((at, usage)))
        };
        let containers = containers.iter().map(of).collect();
        Sample { node: Some((at, usage)), containers, ..Sample::default() }
    }

    #[test]
    fn the_busiest_come_first_and_those_without_a_rate_last() {
        let begun = Instant::now();
        let before =
            sample(begun, 100, &[("idle", Some(5), 1), ("busy", Some(0), 1), ("again", Some(900), 1)]);
        let after = sample(
            begun + Duration::from_secs(2),
            3100,
            &[
                ("idle", Some(5), 1),
                ("new", Some(10), 2),
                ("fat", None, 9),
                ("again", Some(1), 1),
                ("busy", Some(1500), 1),
            ],
        );
        let sizes = BTreeMap::from([("busy".to_owned(), 77)]);
        let top = Top::between(&before, &after, &sizes);
        let seen: Vec<_> = top.containers.iter().map(|one| (one.name.as_str(), one.cpus)).collect();
        let expected =
            [("busy", Some(0.75)), ("idle", Some(0.0)), ("fat", None), ("new", None), ("again", None)];
        assert_eq!(seen, expected);
        assert_eq!((top.containers[0].disk_bytes, top.containers[1].disk_bytes), (Some(77), None));
        assert_eq!((top.node.cpus, top.node.cpus_limit), (Some(1.5), Some(1.5)));
    }
}
