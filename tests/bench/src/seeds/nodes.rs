//! How much later a node with a seed is ready, what it holds itself, and how long `docker load` of the same images takes.

use super::images::Images;
use crate::lifecycle::outer::{Container, DataRoot, Kind, Site};
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

pub(super) fn run(site: &Site, images: &Images, rounds: usize) -> Result<()> {
    let (own, stopped) = (RefCell::new(Vec::new()), RefCell::new(None));
    let seed = format!("{}:/seed:ro", images.seed.display());
    let with_seed = ["--volume", &seed, "--env", "DIND_STORAGE_SEED=/seed"];
    let at = |label, data_root, options: &[&str], expected| -> Result<(Container<'_>, Duration)> {
        let flags = [&["--privileged"], options].concat();
        let container = Container::with(site, label, Kind::Node, data_root, &flags)?;
        let took = container.start()?;
        let found = container.images()?;
        if found == expected {
            Ok((container, took))
        } else {
            Err(format!("{found} images in {label}").into())
        }
    };
    let first = |label, options: &[&str], expected| at(label, DataRoot::Volume, options, expected);
    // Its file system is a new one. What others have deleted on the machine's in the last minutes makes ext4 slow there.
    let on_image = |label, options: &[&str], expected| {
        at(label, DataRoot::Overlay, options, expected).map(|(_, took)| took)
    };
    let empty_bytes = RefCell::new(0);
    let series = in_turns(
        rounds,
        &mut [
            Task::new("node without images", || {
                let (container, took) = first("no-seed", &[], 0)?;
                *empty_bytes.borrow_mut() = container.own_bytes()?;
                Ok(took)
            }),
            Task::new("node with a seed of 20 images, 2 GB", || {
                let (container, took) = first("seed", &with_seed, Images::COUNT)?;
                own.borrow_mut()
                    .push(container.own_bytes()?.saturating_sub(*empty_bytes.borrow()) as f64 / 1e6);
                container.stop()?;
                *stopped.borrow_mut() = Some(container);
                Ok(took)
            }),
            Task::new("the same node, next start", || {
                stopped.borrow_mut().take().ok_or("no node was stopped")?.start()
            }),
            Task::new("node without images, new loop image", || on_image("no-seed-loop", &[], 0)),
            Task::new("node with that seed, new loop image", || {
                on_image("seed-loop", &with_seed, Images::COUNT)
            }),
        ],
    )?;
    let [empty, seeded, again, empty_image, seeded_image]: &[Series; 5] = series.as_slice().try_into()?;
    let rows = [
        Row::against(empty, empty),
        Row::at_most_later(seeded, empty, LATER),
        Row::at_most_later(again, empty, LATER),
        Row::against(empty_image, empty_image),
        Row::at_most_later(seeded_image, empty_image, LATER),
    ];
    print("from the start of PID 1 until the engine answers", "the node without images", &rows);
    let own = Series::new("the node's own disk use with the seed", own.into_inner());
    let verdict = if own.median() <= OWN { "reached" } else { "MISSED" };
    println!("{:46} {:9.2} MB  <= {OWN} MB: {verdict}", own.name, own.median());

    let archive = format!("{}:/archive.tar:ro", images.archive.display());
    let loaded = in_turns(
        rounds.min(MOST_ROUNDS_OF_LOADING),
        &mut [Task::new("docker load of the same 20 images", || {
            let (container, _) = first("load", &["--volume", &archive], 0)?;
            let start = Instant::now();
            let load = ["docker", "--host", "unix:///bench/docker.sock", "load", "--quiet", "--input"];
            container.exec(&[&load[..], &["/archive.tar"]].concat())?;
            Ok(start.elapsed())
        })],
    )?;
    print("instead of a seed", empty.name, &[Row::against(&loaded[0], empty)]);
    Ok(())
}
