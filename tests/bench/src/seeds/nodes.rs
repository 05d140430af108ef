//! How much later a node with a seed is ready, what it holds itself, and how long `docker load` of the same images takes.

use super::images::Images;
use crate::lifecycle::outer::Container;
use crate::lifecycle::site::{DataRoot, Kind, Site};
use crate::series::{Series, Task, in_turns};
use crate::table::{Row, print};
use dind_lab::Result;
use std::cell::RefCell;
use std::time::{Duration, Instant};

/// How much later a node with a seed may be ready, in milliseconds.
const LATER: f64 = 50.0;

/// What it may hold itself, in megabytes.
const OWN: f64 = 4.0;

/// Loading takes a minute.
const MOST_ROUNDS_OF_LOADING: usize = 2;

/// What was measured, in milliseconds, with the version of the engines.
pub(crate) struct Times {
    /// How many images there are.
    pub(crate) images: usize,
    /// A node without images.
    pub(crate) empty_ms: f64,
    /// One with a seed of them, at its first start and at the next.
    pub(crate) seeded_ms: f64,
    pub(crate) again_ms: f64,
    /// `docker load` of the same.
    pub(crate) load_ms: f64,
    /// The engines' version.
    pub(crate) engine: String,
}

/// The starts and the load alone, for a chart.
pub(super) fn times(site: &Site, images: &Images, rounds: usize) -> Result<Times> {
    let stopped = RefCell::new(None);
    let series = in_turns(
        rounds,
        &mut [
            Task::new("node without images", || Ok(node(site, "no-seed", DataRoot::Volume, &[], 0)?.1)),
            Task::new("node with a seed", || {
                let (container, took) = seeded(site, images, "seed", DataRoot::Volume)?;
                container.stop()?;
                *stopped.borrow_mut() = Some(container);
                Ok(took)
            }),
            Task::new("the same node, next start", || {
                stopped.borrow_mut().take().ok_or("no node was stopped")?.start()
            }),
        ],
    )?;
    let engine = node(site, "no-seed", DataRoot::Volume, &[], 0)?.0.engine_version()?;
    let [empty_ms, seeded_ms, again_ms] =
        <&[Series; 3]>::try_from(series.as_slice())?.each_ref().map(Series::median);
    let load_ms = loaded(site, images, rounds)?.median();
    Ok(Times { images: Images::COUNT, empty_ms, seeded_ms, again_ms, load_ms, engine })
}

/// A new node with these options that has so many images, and how long its start took.
fn node<'a>(
    site: &'a Site,
    label: &str,
    data_root: DataRoot,
    options: &[&str],
    expected: usize,
) -> Result<(Container<'a>, Duration)> {
    let flags = [&["--privileged"], options].concat();
    let container = Container::with(site, label, Kind::Node, data_root, &flags)?;
    let took = container.start()?;
    let found = container.images()?;
    if found == expected { Ok((container, took)) } else { Err(format!("{found} images in {label}").into()) }
}

/// One with a seed of all images.
fn seeded<'a>(
    site: &'a Site,
    images: &Images,
    label: &str,
    data_root: DataRoot,
) -> Result<(Container<'a>, Duration)> {
    let seed = format!("{}:/seed:ro", images.seed.display());
    let options = ["--volume", &seed, "--env", "DIND_STORAGE_SEED=/seed"];
    node(site, label, data_root, &options, Images::COUNT)
}

/// How long `docker load` of the same images takes in a new node.
fn loaded(site: &Site, images: &Images, rounds: usize) -> Result<Series> {
    let archive = format!("{}:/archive.tar:ro", images.archive.display());
    let mut loaded = in_turns(
        rounds.min(MOST_ROUNDS_OF_LOADING),
        &mut [Task::new("docker load of the same 20 images", || {
            let (container, _) = node(site, "load", DataRoot::Volume, &["--volume", &archive], 0)?;
            let start = Instant::now();
            let load = ["docker", "--host", "unix:///bench/docker.sock", "load", "--quiet", "--input"];
            container.exec(&[&load[..], &["/archive.tar"]].concat())?;
            Ok(start.elapsed())
        })],
    )?;
    Ok(loaded.remove(0))
}

pub(super) fn run(site: &Site, images: &Images, rounds: usize) -> Result<()> {
    let (own, stopped) = (RefCell::new(Vec::new()), RefCell::new(None));
    // Its file system is a new one. What others have deleted on the machine's in the last minutes makes ext4 slow there.
    let on_image = DataRoot::Overlay;
    let empty_bytes = RefCell::new(0);
    let series = in_turns(
        rounds,
        &mut [
            Task::new("node without images", || {
                let (container, took) = node(site, "no-seed", DataRoot::Volume, &[], 0)?;
                *empty_bytes.borrow_mut() = container.own_bytes()?;
                Ok(took)
            }),
            Task::new("node with a seed of 20 images, 2 GB", || {
                let (container, took) = seeded(site, images, "seed", DataRoot::Volume)?;
                own.borrow_mut()
                    .push(container.own_bytes()?.saturating_sub(*empty_bytes.borrow()) as f64 / 1e6);
                container.stop()?;
                *stopped.borrow_mut() = Some(container);
                Ok(took)
            }),
            Task::new("the same node, next start", || {
                stopped.borrow_mut().take().ok_or("no node was stopped")?.start()
            }),
            Task::new("node without images, new loop image", || {
                Ok(node(site, "no-seed-loop", on_image, &[], 0)?.1)
            }),
            Task::new("node with that seed, new loop image", || {
                Ok(seeded(site, images, "seed-loop", on_image)?.1)
            }),
        ],
    )?;
    let [empty, with_seed, again, empty_image, seeded_image]: &[Series; 5] = series.as_slice().try_into()?;
    let rows = [
        Row::against(empty, empty),
        Row::at_most_later(with_seed, empty, LATER),
        Row::at_most_later(again, empty, LATER),
        Row::against(empty_image, empty_image),
        Row::at_most_later(seeded_image, empty_image, LATER),
    ];
    print("from the start of PID 1 until the engine answers", "the node without images", &rows);
    let own = Series::new("the node's own disk use with the seed", own.into_inner());
    let verdict = if own.median() <= OWN { "reached" } else { "MISSED" };
    println!("{:46} {:9.2} MB  <= {OWN} MB: {verdict}", own.name, own.median());

    let loaded = loaded(site, images, rounds)?;
    print("instead of a seed", empty.name, &[Row::against(&loaded, empty)]);
    Ok(())
}
