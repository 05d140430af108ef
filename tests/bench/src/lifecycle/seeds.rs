//! What images cost a node: those of a seed against the same images by `docker load`.

use super::outer::{Container, DataRoot, Kind, Site};
use crate::series::{Task, in_turns};
use crate::table::{Row, print};
use dind_lab::product::image;
use dind_lab::{Result, progress};
use std::fs;
use std::time::{Duration, Instant};

/// How many images there are, and how large each is, in MB of what cannot be compressed.
const IMAGES: (usize, usize) = (20, 100);

/// How much later than an empty node one with a seed may be ready, in milliseconds.
const LATER: f64 = 50.0;

/// How much of its own disk a node may use for a seed, in bytes.
const DISK: f64 = 4e6;

/// Measures and prints.
pub(super) fn run(site: &Site<'_>, rounds: usize) -> Result<()> {
    make(site)?;
    let start = |label, kind| {
        let container = Container::create(site, label, kind, DataRoot::Volume)?;
        let took = container.start()?;
        Ok::<_, Box<dyn std::error::Error>>((container, took))
    };
    let mut disk = Vec::new();
    let series = in_turns(
        rounds,
        &mut [
            Task::new("node, no images", || start("seed-none", Kind::Node).map(|(_, took)| took)),
            Task::new("node, a seed of 20 images and 2 GB", || {
                let (container, took) = start("seed-some", Kind::NodeWithSeed)?;
                disk.push(own_disk(&container)? / 1e6);
                Ok(took)
            }),
            Task::new("docker load of the same images", || {
                let (container, _) = start("seed-load", Kind::Node)?;
                load(&container)
            }),
        ],
    )?;
    let [none, seed, load] = series.as_slice() else { return Err("a series is missing".into()) };
    let rows = [
        Row::against(none, none),
        Row::against(seed, none).at_most((none.median() + LATER).round()),
        Row::against(load, none),
    ];
    print("images at the start", none.name, &rows);
    let most = disk.iter().copied().fold(0.0, f64::max);
    let verdict = if most <= DISK / 1e6 { "reached" } else { "MISSED" };
    println!(
        "{:46} {most:9.2} MB  <= {} MB: {verdict}",
        "what the seed takes of the node's disk, at most",
        DISK / 1e6
    );
    Ok(())
}

/// Makes the images in a throw-away node, an archive of them, and a seed.
fn make(site: &Site<'_>) -> Result<()> {
    let (count, size) = IMAGES;
    progress::note(&format!("{count} images of {size} MB"));
    let maker = Container::create(site, "seed-maker", Kind::Node, DataRoot::Volume)?;
    maker.start()?;
    let docker = "docker --host unix:///bench/docker.sock";
    let script = format!(
        "cd /tmp; for i in $(seq {count}); do head -c {size}000000 /dev/urandom >file; tar c file | {docker} import - image:$i >/dev/null; \
         done; {docker} save $(seq --format image:%g {count}) >/bench/images.tar"
    );
    maker.exec(&["sh", "-ec", &script])?;
    maker.stop()?;
    let seeds = site.seeds();
    let _ = fs::remove_dir_all(&seeds);
    fs::create_dir_all(&seeds)?;
    fs::rename(maker.shared("images.tar"), seeds.join("images.tar"))?;
    let share = format!("{}:/seeds", seeds.display());
    let words = ["run", "--rm", "--privileged", "--volumes-from", maker.name(), "--volume", &share];
    let seal = ["--entrypoint", "dind-storage", image::NODE, "seal", "--to", "/seeds/seed"];
    site.engine.ask(site.workspace, &[&words[..], &seal].concat()).map(drop)
}

fn load(container: &Container<'_>) -> Result<Duration> {
    let begun = Instant::now();
    container.exec(&[
        "docker",
        "--host",
        "unix:///bench/docker.sock",
        "load",
        "--quiet",
        "--input",
        "/seeds/images.tar",
    ])?;
    Ok(begun.elapsed())
}

/// What a node's data root has apart from the seed's layers and the space that is kept free for a full disk, in bytes.
fn own_disk(container: &Container<'_>) -> Result<f64> {
    let du = [
        "du",
        "--summarize",
        "--block-size=1",
        "--exclude=diff",
        "--exclude=.dind-reserve",
        "/var/lib/docker",
    ];
    let printed = container.exec(&du)?;
    Ok(printed.split_whitespace().next().ok_or("du prints nothing")?.parse()?)
}
