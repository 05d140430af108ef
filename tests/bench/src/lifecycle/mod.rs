//! A node's start and stop against those of bare dockerd in the same image, and what the node itself costs.

mod api;
mod backends;
pub(crate) mod guest;
pub(crate) mod outer;
mod peer;
pub(crate) mod site;
mod tls;

use crate::series::{Series, Task, in_turns};
use crate::table::{Row, print};
use dind_lab::arch::Arch;
use dind_lab::engine::Engine;
use dind_lab::product::{
    binaries,
    image::{self, Recipe},
};
use dind_lab::{Result, Workspace, progress, setup};
use outer::Container;
use site::{DataRoot, Kind, Site};
use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Inner containers in a `docker stop`, and the goal for it as a part of bare dockerd's time.
const STOPS: [(usize, f64, [&str; 2]); 4] = [
    (0, 0.17, ["bare dockerd, no inner container", "node, no inner container"]),
    (1, 0.25, ["bare dockerd, 1 inner container", "node, 1 inner container"]),
    (10, 0.50, ["bare dockerd, 10 inner containers", "node, 10 inner containers"]),
    (50, 0.70, ["bare dockerd, 50 inner containers", "node, 50 inner containers"]),
];

/// Those of the chart, which is about how the time grows.
const CHARTED: [(usize, [&str; 2]); 6] = [
    (0, ["bare dockerd, no inner container", "node, no inner container"]),
    (1, ["bare dockerd, 1 inner container", "node, 1 inner container"]),
    (10, ["bare dockerd, 10 inner containers", "node, 10 inner containers"]),
    (25, ["bare dockerd, 25 inner containers", "node, 25 inner containers"]),
    (50, ["bare dockerd, 50 inner containers", "node, 50 inner containers"]),
    (100, ["bare dockerd, 100 inner containers", "node, 100 inner containers"]),
];

/// As many as bare dockerd does not always come to the end of within the ten seconds of `docker stop`. What counts is whether
/// any was killed without having been asked.
const CROWDS: [(usize, [&str; 2]); 2] = [
    (100, ["bare dockerd, 100 inner containers", "node, 100 inner containers"]),
    (200, ["bare dockerd, 200 inner containers", "node, 200 inner containers"]),
];

/// How often a crowd is stopped: once after its containers were started, and once after they have come back. Each start takes
/// most of a minute.
const CROWD_ROUNDS: usize = 2;

const MEGABYTE: f64 = 1e6;

/// Names an image that is measured in place of a new one.
const IMAGE: &str = "DIND_BENCH_IMAGE";

/// Measures and prints.
pub(super) fn run(workspace: &Workspace, rounds: usize) -> Result<()> {
    on_site(workspace, rounds, |site, binaries| {
        let rss = starts(site, rounds)?;
        if backends::has_choice(site)? {
            backends::run(site, rounds)?;
        }
        cost(binaries, &rss)?;
        tls::run(site, rounds)?;
        stops(site, rounds)?;
        crowds(site)
    })
}

/// The part about certificates alone.
pub(super) fn run_tls(workspace: &Workspace, rounds: usize) -> Result<()> {
    on_site(workspace, rounds, |site, _| tls::run(site, rounds))
}

/// The part about firewall backends alone.
pub(super) fn run_backends(workspace: &Workspace, rounds: usize) -> Result<()> {
    on_site(workspace, rounds, |site, _| backends::run(site, rounds))
}

/// Measures on an engine with the image, in a directory that is removed afterwards.
pub(crate) fn on_site(
    workspace: &Workspace,
    rounds: usize,
    measure: impl FnOnce(&Site, &Path) -> Result<()>,
) -> Result<()> {
    setup::install(workspace, &[setup::BUILD, setup::ENGINE, setup::OPENSSL])?;
    let binaries = binaries::build(workspace)?;
    let engine = Engine::find_or_start(workspace)?;
    let image = subject(workspace, &engine)?;
    // Not below /run: the private engine has another. Not below `target/`: a socket's path has room for 107 bytes.
    let directory = std::env::temp_dir().join(format!("{}-bench", workspace.engine_name()));
    let (host, pid) = (engine.host.clone(), engine.pid.to_string());
    let site = Site { host, pid, image, preload: workspace.preload(), directory };
    progress::heading(&format!("measure nodes, {rounds} rounds"));
    let measured = measure(&site, &binaries);
    let _ = fs::remove_dir_all(&site.directory);
    engine.release(workspace)?;
    measured
}

/// The image to measure, present in the engine, with that of the inner containers beside it.
fn subject(workspace: &Workspace, engine: &Engine) -> Result<String> {
    let Some(name) = std::env::var(IMAGE).ok().filter(|name| !name.is_empty()) else {
        return image::build(workspace, engine, Recipe::default());
    };
    engine.ask(workspace, &["image", "inspect", "--format", "{{.Id}}", &name]).map_err(|_| {
        format!("cannot measure {IMAGE}=`{name}`: the engine has no such image\nhint: cargo xtask image --tag {name}")
    })?;
    image::inner(workspace, engine, Arch::HOST)?;
    Ok(name)
}

/// Start until ready, of new containers and after a kill. Gives the resident memory of the node's PID 1, in bytes.
fn starts(site: &Site, rounds: usize) -> Result<Vec<f64>> {
    let (killed_bare, killed) = (RefCell::new(None), RefCell::new(None));
    let rss = RefCell::new(Vec::new());
    let first = |label, kind, data_root| {
        let container = Container::create(site, label, kind, data_root)?;
        let took = container.start()?;
        Ok::<_, Box<dyn std::error::Error>>((container, took))
    };
    let only = |label, kind, data_root| first(label, kind, data_root).map(|(_, took)| took);
    let again = |killed: &RefCell<Option<Container<'_>>>| {
        killed.borrow_mut().take().ok_or("no container was killed")?.start()
    };
    let series = in_turns(
        rounds,
        &mut [
            Task::new("bare dockerd, volume", || {
                let (container, took) = first("bare", Kind::Bare, DataRoot::Volume)?;
                container.kill()?;
                *killed_bare.borrow_mut() = Some(container);
                Ok(took)
            }),
            Task::new("bare dockerd, volume, after a kill", || again(&killed_bare)),
            Task::new("node, volume", || {
                let (container, took) = first("node", Kind::Node, DataRoot::Volume)?;
                rss.borrow_mut().push(resident(&container)?);
                container.kill()?;
                *killed.borrow_mut() = Some(container);
                Ok(took)
            }),
            Task::new("node, volume, after a kill", || again(&killed)),
            Task::new("bare dockerd, overlay (vfs)", || only("bare-overlay", Kind::Bare, DataRoot::Overlay)),
            Task::new("node, overlay (new loop image)", || {
                only("node-overlay", Kind::Node, DataRoot::Overlay)
            }),
        ],
    )?;
    let [bare, bare_again, node, again, bare_overlay, node_overlay]: &[Series; 6] =
        series.as_slice().try_into()?;
    let rows = [
        Row::against(bare, bare),
        Row::against(bare_again, bare),
        Row::within(node, bare, 0.90),
        Row::within(again, node, 1.2),
        Row::against(bare_overlay, bare_overlay),
        Row::within(node_overlay, bare_overlay, 1.00),
    ];
    print("from the start of PID 1 until the engine answers", "the row that each goal names", &rows);
    drop((killed_bare, killed));
    Ok(rss.into_inner())
}

/// Resident memory of PID 1, in bytes.
fn resident(container: &Container<'_>) -> Result<f64> {
    let status = container.exec(&["cat", "/proc/1/status"])?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    Ok(kib.ok_or("the status of PID 1 has no VmRSS")?.parse::<f64>()? * 1024.0)
}

/// `docker stop`, with inner containers that end on TERM.
fn stops(site: &Site, rounds: usize) -> Result<()> {
    let cases = STOPS.map(|(count, _, names)| (count, names));
    let (series, _) = stopped(site, rounds, &cases)?;
    let rows: Vec<Row> = STOPS
        .iter()
        .zip(series.chunks_exact(2))
        .flat_map(|((_, goal, _), pair)| {
            [Row::against(&pair[0], &pair[0]), Row::within(&pair[1], &pair[0], *goal)]
        })
        .collect();
    print("docker stop -t 10", "bare dockerd with as many", &rows);
    Ok(())
}

/// The medians of `docker stop` in milliseconds, by the number of inner containers: of bare dockerd and of the node. With the version of
/// their engine.
pub(crate) fn stop_times(site: &Site, rounds: usize) -> Result<(Vec<usize>, [Vec<f64>; 2], String)> {
    let (series, version) = stopped(site, rounds, &CHARTED)?;
    let of = |index| series.iter().skip(index).step_by(2).map(Series::median).collect();
    Ok((CHARTED.iter().map(|(count, _)| *count).collect(), [of(0), of(1)], version))
}

/// For each number of inner containers, the stops of bare dockerd and those of the node.
fn stopped(
    site: &Site,
    rounds: usize,
    cases: &[(usize, [&'static str; 2])],
) -> Result<(Vec<Series>, String)> {
    let (mut pairs, mut version) = (Vec::new(), String::new());
    for (count, _) in cases {
        let mut filled = |name: &str, kind| {
            let container = Container::create(site, &format!("{name}-{count}"), kind, DataRoot::Volume)?;
            container.start()?;
            version = container.engine_version()?;
            container.fill(*count)?;
            container.stop()?;
            Ok::<_, Box<dyn std::error::Error>>(container)
        };
        progress::note(&format!("two engines with {count} inner containers"));
        pairs.push([filled("bare", Kind::Bare)?, filled("node", Kind::Node)?]);
    }
    let stop = |container: &Container<'_>, count| -> Result<Duration> {
        container.start()?;
        container.until_running(count)?;
        container.stop()
    };
    let mut tasks = Vec::new();
    for ((count, names), pair) in cases.iter().zip(&pairs) {
        for (name, container) in names.iter().zip(pair) {
            tasks.push(Task::new(name, move || stop(container, *count)));
        }
    }
    Ok((in_turns(rounds, &mut tasks)?, version))
}

/// `docker stop` of crowds, with how many of the containers ended without having come to their own end.
fn crowds(site: &Site) -> Result<()> {
    let (mut rows, mut lost) = (Vec::new(), Vec::new());
    for (count, names) in CROWDS {
        let mut pair = Vec::new();
        for (name, kind) in names.into_iter().zip([Kind::Bare, Kind::Node]) {
            let container = Container::create(site, &format!("crowd-{count}"), kind, DataRoot::Volume)?;
            let mut samples = Vec::new();
            for round in 0..CROWD_ROUNDS {
                progress::note(&format!("{name}: stop {} of {CROWD_ROUNDS}", round + 1));
                container.start()?;
                if round == 0 { container.fill(count) } else { container.until_running(count) }?;
                container.forget_ends()?;
                samples.push(container.stop()?.as_secs_f64() * 1e3);
                lost.push((name, count - container.ends()?));
            }
            pair.push(Series::new(name, samples));
        }
        let [bare, node]: &[Series; 2] = pair.as_slice().try_into()?;
        rows.extend([Row::against(bare, bare), Row::against(node, bare)]);
    }
    print("docker stop -t 10 of a crowd", "bare dockerd with as many", &rows);
    for (name, count) in lost {
        println!("{name:46} {count:9} lost: killed before their own end");
    }
    Ok(())
}

/// What the node costs: the memory of its PID 1, and the four static binaries.
fn cost(binaries: &Path, rss: &[f64]) -> Result<()> {
    let mut together = 0.0;
    for tool in binaries::TOOLS {
        together += fs::metadata(binaries.join(tool))?.len() as f64;
    }
    let rss = Series::new("resident memory of PID 1", rss.to_vec()).median();
    for (what, bytes, goal) in
        [("resident memory of PID 1", rss, 2.5), ("the four binaries together", together, 8.0)]
    {
        let megabytes = bytes / MEGABYTE;
        let verdict = if megabytes <= goal { "reached" } else { "MISSED" };
        println!("{what:46} {megabytes:9.2} MB  <= {goal} MB: {verdict}");
    }
    Ok(())
}
