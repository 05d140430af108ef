//! Ten nodes that read the same files of a seed: the machine keeps them in memory once.
//!
//! The kernel accounts a page of a file to the group of processes that has first read it. So the sum of what the nodes' groups
//! have is what all of them keep together, whatever else the machine does. `Cached` of /proc/meminfo is shown beside it.

use super::images::Images;
use crate::lifecycle::outer::Container;
use crate::lifecycle::site::{DataRoot, Kind, Site};
use dind_lab::{Result, progress};
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use std::fs::{self, File};
use std::path::Path;

/// Nodes that share a seed.
const NODES: usize = 10;

pub(super) fn run(site: &Site, images: &Images) -> Result<()> {
    println!("memory for the files of a seed that {NODES} nodes read, in MB");
    println!("{:46} {:>9} {:>17} {:>11}  goal", "", "size", "first node", "all nodes");
    for (what, seed) in [("a directory", &images.seed), ("an erofs in a file", &images.erofs)] {
        let (grown, machine) = measure(site, seed)?;
        let all: f64 = grown.iter().sum();
        let size = Images::megabytes_of_one() as f64;
        let verdict = if grown[0] >= size && all < 1.5 * size { "reached" } else { "MISSED" };
        println!("{what:46} {size:9.0} {:17.0} {all:11.0}  once, not {NODES} times: {verdict}", grown[0]);
        println!("{:46} {:>9} {:17.0} {:11.0}", "    Cached of the machine", "", machine[0], machine[1]);
    }
    Ok(())
}

/// By how much the page cache of each node has grown after all have read all files of an image; and that of the machine, after
/// the first and after all.
fn measure(site: &Site, seed: &Path) -> Result<(Vec<f64>, [f64; 2])> {
    let volume = format!("{}:/seed:ro", seed.display());
    let flags = ["--privileged", "--volume", &volume, "--env", "DIND_STORAGE_SEED=/seed"];
    let mut nodes = Vec::new();
    for number in 0..NODES {
        let label = format!("cache-{number}");
        let node = Container::with(site, &label, Kind::Node, DataRoot::Volume, &flags)?;
        node.start()?;
        nodes.push(node);
    }
    forget(seed)?;
    let (before, mut machine) = (cached()?, Vec::new());
    let (mut grown, image) = (Vec::new(), Images::one());
    for node in &nodes {
        let had = accounted(node)?;
        let read = ["docker", "--host", "unix:///bench/docker.sock", "run", "--rm", "--network", "none"];
        node.exec(&[&read[..], &[&image, "sh", "-c", "cat /data-* >/dev/null"]].concat())?;
        grown.push(accounted(node)? - had);
        machine.push(cached()? - before);
    }
    progress::note(&format!("page cache of each node, in MB: {grown:.0?}"));
    Ok((grown, [machine[0], machine[NODES - 1]]))
}

/// The page cache that a node and all in it are accounted for, in megabytes.
fn accounted(node: &Container<'_>) -> Result<f64> {
    let script = "cat /sys/fs/cgroup/memory/memory.stat 2>/dev/null || cat /sys/fs/cgroup/memory.stat";
    let stat = node.exec(&["sh", "-c", script])?;
    let of = |key: &str| stat.lines().find_map(|line| line.strip_prefix(key)?.trim().parse::<f64>().ok());
    let bytes = of("total_cache ").or_else(|| of("file "));
    Ok(bytes.ok_or("the node's memory.stat has no page cache")? / 1e6)
}

/// Takes the files out of the page cache.
fn forget(path: &Path) -> Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            if !entry.file_type()?.is_symlink() {
                forget(&entry.path())?;
            }
        }
        return Ok(());
    }
    Ok(posix_fadvise(&File::open(path)?, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?)
}

/// `Cached` in megabytes.
fn cached() -> Result<f64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let kib = text.lines().find_map(|line| line.strip_prefix("Cached:")?.trim().strip_suffix(" kB"));
    Ok(kib.ok_or("/proc/meminfo has no Cached")?.parse::<f64>()? * 1.024e-3)
}
