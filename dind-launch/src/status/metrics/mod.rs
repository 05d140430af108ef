//! `status --output openmetrics`: the node as figures, for whatever collects them.
//!
//! `text` is the format; [`render`] is what there is to say, from [`Observed`] alone.

mod text;

use super::record::{NodeState, Record};
use crate::engine::readiness;
use crate::stage::Stage;
use crate::usage::disk::Disk;
use crate::usage::engine::{Engine, Listed};
use crate::usage::node::NodeUsage;
use dind_system::Root;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};
use text::Exposition;

/// How long the engine may take to answer, in all.
const LIMIT: Duration = Duration::from_secs(2);

/// A block of `stat`, whatever the file system's own is (inode(7), `st_blocks`).
const BLOCK: u64 = 512;

/// All states of a node, and of a container (moby, container/state.go).
const NODE_STATES: [NodeState; 6] = [
    NodeState::Starting,
    NodeState::Running,
    NodeState::Stopping,
    NodeState::Stopped,
    NodeState::Failed,
    NodeState::External,
];
const CONTAINER_STATES: [&str; 7] =
    ["created", "running", "paused", "restarting", "removing", "exited", "dead"];

/// What is known of a node beside its record. Nothing where it cannot be found out.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The node's name.
    pub node: String,
    /// Whether dockerd answers, and whether containerd does.
    pub daemons: [bool; 2],
    /// All inner containers.
    pub containers: Option<Vec<Listed>>,
    /// The file system of the data root.
    pub disk: Option<Disk>,
    /// Bytes of the loop image that are allocated.
    pub image_allocated: Option<u64>,
    /// What the node uses.
    pub usage: NodeUsage,
}

impl Observed {
    /// Asks the kernel and the engine.
    #[must_use]
    pub fn now(record: &Record, node: String) -> Self {
        let ended = record.state.has_ended();
        let engine = Engine::at(&record.socket, Instant::now() + LIMIT);
        let data_root = record.daemon_json.get("data-root").and_then(Value::as_str);
        let image = storage(record).and_then(|storage| storage.pointer("/image/path")?.as_str());
        Self {
            node,
            daemons: [
                !ended && readiness::ping(&record.socket, LIMIT),
                !ended && readiness::grpc_answers(&record.containerd_socket, LIMIT),
            ],
            containers: if ended { None } else { engine.containers(true).ok() },
            disk: data_root.and_then(|path| Disk::of(Path::new(path)).ok()),
            image_allocated: image
                .and_then(|path| fs::metadata(path).ok())
                .map(|image| image.blocks().saturating_mul(BLOCK)),
            usage: NodeUsage::read(&Root::default()),
        }
    }
}

/// What the storage tool says now, or what it said at the start.
fn storage(record: &Record) -> Option<&Value> {
    let of = |name| record.documents.get(name).map(|document| &document.result);
    of("storage-now").or_else(|| of("storage"))
}

/// The exposition.
#[must_use]
pub fn render(record: &Record, observed: &Observed, version: &str) -> String {
    let mut all = Exposition::default();
    node(&mut all, record, observed, version);
    stages(&mut all, record);
    engine(&mut all, record, observed);
    usage(&mut all, &observed.usage);
    disk(&mut all, record, observed);
    seeds(&mut all, record);
    reclaim(&mut all, record);
    all.finish()
}

fn node(all: &mut Exposition, record: &Record, observed: &Observed, version: &str) {
    let engine = record.engine_version.as_deref().unwrap_or_default();
    let text = |key: &str| storage(record).and_then(|storage| storage.get(key)?.as_str()).unwrap_or_default();
    let data_root = record.daemon_json.get("data-root").and_then(Value::as_str).unwrap_or_default();
    let labels = [
        ("node", observed.node.as_str()),
        ("version", version),
        ("engine_version", engine),
        ("data_root", data_root),
        ("driver", text("driver")),
        ("backing", text("backing")),
        ("filesystem", text("filesystem")),
    ];
    all.gauge("dind_node_info", "What the node is made of; always 1.").sample(&labels, 1.0);
    let mut states = all.gauge("dind_node_state", "1 for the state that the node is in.");
    for state in NODE_STATES {
        states.sample(&[("state", state.name())], f64::from(u8::from(state == record.state)));
    }
    if record.started_unix_ms > 0 {
        let help = "When the node was started, since 1970.";
        all.gauge("dind_node_start_time_seconds", help).sample(&[], seconds(record.started_unix_ms));
    }
    let mut codes = BTreeMap::new();
    for warning in record
        .warnings
        .iter()
        .chain(record.documents.get("storage-now").into_iter().flat_map(|now| &now.warnings))
    {
        *codes.entry(warning.code.as_str()).or_insert(0) += 1;
    }
    let mut warnings = all.gauge("dind_warnings", "Warnings of the node, by code.");
    for (code, count) in codes {
        warnings.sample(&[("code", code)], f64::from(count));
    }
}

/// The last of each name: a daemon may be started again more than once.
fn stages(all: &mut Exposition, record: &Record) {
    let mut took = BTreeMap::new();
    for stage in &record.stages {
        took.extend(stage.end_ms.map(|end| (stage.name.as_str(), end.saturating_sub(stage.start_ms))));
    }
    let help = "How long a stage of the start or the stop took when it last ran.";
    let mut family = all.gauge("dind_stage_duration_seconds", help);
    for (stage, took) in took {
        family.sample(&[("stage", stage)], seconds(took));
    }
    let of_start = |name: &str| Stage::is_of_start(name);
    let ready = record.stages.iter().filter(|stage| of_start(&stage.name)).map(|stage| stage.end_ms);
    // Until all have ended, nothing is known.
    let ready = ready.collect::<Option<Vec<_>>>().and_then(|ends| ends.into_iter().max());
    let is_ready = !matches!(record.state, NodeState::Starting | NodeState::Failed);
    if let Some(ready) = ready.filter(|_| is_ready) {
        let help = "How long the start took until the node was ready.";
        all.gauge("dind_start_duration_seconds", help).sample(&[], seconds(ready));
    }
    let stop: Vec<_> = record.stages.iter().skip_while(|stage| !stage.name.starts_with(OF_STOP)).collect();
    if let (Some(first), Some(end), true) =
        (stop.first(), stop.iter().filter_map(|stage| stage.end_ms).max(), record.state.has_ended())
    {
        let help = "How long the ordered stop took.";
        all.gauge("dind_stop_duration_seconds", help)
            .sample(&[], seconds(end.saturating_sub(first.start_ms)));
    }
}

fn engine(all: &mut Exposition, record: &Record, observed: &Observed) {
    let mut up = all.gauge("dind_daemon_up", "Whether a daemon of the engine answers.");
    for (daemon, answers) in ["dockerd", "containerd"].into_iter().zip(observed.daemons) {
        up.sample(&[("daemon", daemon)], f64::from(u8::from(answers)));
    }
    let help = "How often a daemon of the engine was started again after its death.";
    all.counter("dind_engine_restarts", help).sample(&[], f64::from(record.engine_restarts));
    let Some(containers) = &observed.containers else { return };
    let mut family = all.gauge("dind_containers", "Inner containers, by state.");
    for state in CONTAINER_STATES {
        let count = containers.iter().filter(|container| container.state == state).count();
        family.sample(&[("state", state)], count as f64);
    }
}

fn usage(all: &mut Exposition, usage: &NodeUsage) {
    if let Some(cpu) = usage.cpu {
        let help = "Processor time of the node and all that has run in it.";
        all.counter("dind_node_cpu_seconds", help).sample(&[], cpu.as_secs_f64());
    }
    let mut gauge = |name, help, value: Option<f64>| {
        if let Some(value) = value {
            all.gauge(name, help).sample(&[], value);
        }
    };
    let bytes = |value: Option<u64>| value.map(|value| value as f64);
    let cpus = usage.cpu_millis.map(|millis| millis as f64 / 1000.0);
    gauge("dind_node_cpus", "Processors that the node may use.", cpus);
    let help = "Memory of the node and all that runs in it, without files that could be dropped at once.";
    gauge("dind_node_memory_used_bytes", help, bytes(usage.memory_bytes));
    gauge("dind_node_memory_limit_bytes", "Memory that the node may use.", bytes(usage.memory_limit_bytes));
    gauge("dind_node_processes", "Processes and threads of the node.", bytes(usage.pids));
    gauge("dind_node_processes_limit", "Processes and threads that it may have.", bytes(usage.pids_limit));
}

fn disk(all: &mut Exposition, record: &Record, observed: &Observed) {
    let mut gauge = |name, help, value: Option<u64>| {
        if let Some(value) = value {
            all.gauge(name, help).sample(&[], value as f64);
        }
    };
    if let Some(disk) = observed.disk {
        gauge("dind_data_root_size_bytes", "Size of the data root's file system.", Some(disk.size_bytes));
        gauge("dind_data_root_used_bytes", "What of it is in use.", Some(disk.used_bytes));
        gauge("dind_data_root_available_bytes", "What of it is left.", Some(disk.available_bytes));
        let counted = Some(disk.inodes).filter(|inodes| *inodes > 0);
        gauge("dind_data_root_inodes", "Files that it can have.", counted);
        gauge("dind_data_root_inodes_used", "Files that it has.", counted.map(|_| disk.inodes_used));
    }
    let image = storage(record).and_then(|storage| storage.pointer("/image/size_bytes")?.as_u64());
    gauge("dind_loop_image_size_bytes", "Size of the loop image.", image);
    let help = "What of it is allocated on the disk below.";
    gauge("dind_loop_image_allocated_bytes", help, image.and(observed.image_allocated));
}

fn seeds(all: &mut Exposition, record: &Record) {
    let seeds = storage(record).and_then(|storage| storage.get("seeds")?.as_array());
    let mut by_path = BTreeMap::new();
    for seed in seeds.into_iter().flatten() {
        by_path.extend(seed.get("path").and_then(Value::as_str).map(|path| (path, seed)));
    }
    if by_path.is_empty() {
        return;
    }
    let mut sizes = all.gauge("dind_seed_size_bytes", "Size of a seed's layers.");
    for (path, seed) in &by_path {
        sizes.sample(&[("seed", path)], seed["size_bytes"].as_f64().unwrap_or(0.0));
    }
    let mut layers = all.gauge("dind_seed_layers", "How many layers a seed has.");
    for (path, seed) in &by_path {
        layers.sample(&[("seed", path)], seed["layers"].as_f64().unwrap_or(0.0));
    }
    let mut images = all.gauge("dind_seed_images", "Images of a seed, by what has become of them here.");
    for (path, seed) in &by_path {
        let mut states = BTreeMap::new();
        for image in seed["images"].as_array().into_iter().flatten() {
            *states.entry(image["state"].as_str().unwrap_or("unknown")).or_insert(0) += 1;
        }
        for (state, count) in states {
            images.sample(&[("seed", path), ("state", state)], f64::from(count));
        }
    }
}

fn reclaim(all: &mut Exposition, record: &Record) {
    let Some(reclaim) = &record.reclaim else { return };
    let mut counter = |name, help, value: u64| all.counter(name, help).sample(&[], value as f64);
    counter("dind_reclaim_rounds", "How often space was reclaimed.", reclaim.rounds);
    counter("dind_reclaim_images", "Images that went.", reclaim.images);
    counter("dind_reclaim_freed_bytes", "What was freed.", reclaim.freed_bytes);
    let help = "Whether nothing is left that could go.";
    all.gauge("dind_reclaim_exhausted", help).sample(&[], f64::from(u8::from(reclaim.exhausted)));
}

/// How the names of the stages begin that a stop begins with.
const OF_STOP: &str = "stop-";

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}
