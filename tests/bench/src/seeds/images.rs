//! Twenty images with two gigabytes together, of which some layers are shared: an archive for `docker load`, and seeds of the
//! same. Their content cannot be compressed, and is the same each time. They are made once and kept below the build directory.

use crate::lifecycle::site::Site;
use crate::series::timed;
use dind_lab::product::image;
use dind_lab::{Result, Workspace, progress, setup};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Images that have layers in common.
const FAMILIES: usize = 4;
/// Images of a family.
const SIBLINGS: usize = 5;
/// The layers that a family has in common, in megabytes each. They lie on the inner image's only layer, which all have.
const COMMON: [usize; 3] = [80, 80, 40];
/// The layers that only one image has.
const OWN: [usize; 2] = [40, 20];
/// What making them takes at most, in megabytes: the archive, what an engine unpacks of it, its layers, and the seed.
const NEEDED: u64 = 9000;
/// Changes with what is made here.
const VERSION: &str = "1";

/// What was made.
pub(super) struct Images {
    /// An archive of all images.
    pub(super) archive: PathBuf,
    /// A seed of all images: a directory.
    pub(super) seed: PathBuf,
    /// A seed of [`Images::one`] alone: an erofs.
    pub(super) erofs: PathBuf,
}

impl Images {
    /// How many images there are.
    pub(super) const COUNT: usize = FAMILIES * SIBLINGS;

    /// One of them. A shell is in it, and `/data-*`.
    pub(super) fn one() -> String {
        name(0, 0)
    }

    /// Size of the files of [`Images::one`] in megabytes.
    pub(super) fn megabytes_of_one() -> usize {
        COMMON.iter().chain(&OWN).sum()
    }

    /// Makes what is missing. Each appears whole under its name.
    pub(super) fn make(workspace: &Workspace, site: &Site, binaries: &Path) -> Result<Self> {
        let directory = workspace.target.join("bench-images").join(VERSION);
        fs::create_dir_all(&directory)?;
        let directory = directory.canonicalize()?;
        let path = |name: &str| directory.join(name);
        let made = Self { archive: path("archive.tar"), seed: path("seed"), erofs: path("one.erofs") };
        if !made.archive.exists() || !made.seed.exists() {
            let space = nix::sys::statvfs::statvfs(&directory)?;
            let available = space.blocks_available() * space.fragment_size() / 1_000_000;
            if available < NEEDED {
                let place = directory.display();
                return Err(
                    format!("{NEEDED} MB are needed in {place}, and {available} are available").into()
                );
            }
        }
        if !made.archive.exists() {
            let scratch = path("layers");
            emptied(&scratch)?;
            let megabytes = FAMILIES * (COMMON.iter().sum::<usize>() + SIBLINGS * OWN.iter().sum::<usize>());
            progress::step(&format!("make {} images, {megabytes} MB", Self::COUNT), || {
                archive(workspace, &scratch, &made.archive)
            })?;
            fs::remove_dir_all(scratch)?;
        }
        if !made.seed.exists() || !made.erofs.exists() {
            let root = path("data-root");
            emptied(&root)?;
            progress::step("load and seal them", || made.seal(workspace, site, binaries, &root))?;
            fs::remove_dir_all(root)?;
        }
        Ok(made)
    }

    /// Loads the archive in a node that ends thereafter, and seals what it leaves.
    fn seal(&self, workspace: &Workspace, site: &Site, binaries: &Path, root: &Path) -> Result<()> {
        setup::install(workspace, &[setup::TESTS])?;
        let volumes = [
            format!("{}:/var/lib/docker", root.display()),
            format!("{}:/archive.tar:ro", self.archive.display()),
        ];
        let mut words = vec!["run", "--rm", "--privileged", "--name", "dind-bench-source"];
        volumes.iter().for_each(|volume| words.extend(["--volume", volume]));
        words.extend([image::NODE, "docker", "load", "--quiet", "--input", "/archive.tar"]);
        site.ask(&words)?;
        let seal = |to: &Path, options: &[&str]| {
            let mut command = Command::new(binaries.join("dind-storage"));
            command.arg("seal").arg("--data-root").arg(root).arg("--to").arg(to).args(options);
            if to.exists() { Ok(()) } else { timed(&mut command).map(drop) }
        };
        seal(&self.seed, &[])?;
        seal(&self.erofs, &["--format", "erofs", "--images", &Self::one()])
    }
}

fn name(family: usize, sibling: usize) -> String {
    format!("bench-{family}-{sibling}:1")
}

fn emptied(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory)?;
    }
    Ok(fs::create_dir_all(directory)?)
}

/// An archive in the format of `docker save` before 25, which all engines load.
fn archive(workspace: &Workspace, scratch: &Path, to: &Path) -> Result<()> {
    let system = layer(
        scratch,
        "system",
        &format!("cp {} system.tar", workspace.image().join("rootfs.tar").display()),
    )?;
    let mut manifest = Vec::new();
    for family in 0..FAMILIES {
        let mut common = vec![system.clone()];
        for (number, megabytes) in COMMON.iter().enumerate() {
            common.push(random_layer(scratch, &format!("{family}-{number}"), *megabytes)?);
        }
        for sibling in 0..SIBLINGS {
            let mut layers = common.clone();
            for (number, megabytes) in OWN.iter().enumerate() {
                layers.push(random_layer(scratch, &format!("{family}-{sibling}-{number}"), *megabytes)?);
            }
            manifest.push(describe(scratch, &name(family, sibling), &layers)?);
        }
    }
    fs::write(scratch.join("manifest.json"), json!(manifest).to_string())?;
    let part = to.with_extension("part");
    shell(scratch, &format!("tar --create --file '{}' --sort=name *", part.display()))?;
    Ok(fs::rename(part, to)?)
}

/// Name of its archive, and its diff id.
type Layer = (String, String);

/// A file of noise: zeros, encrypted under the layer's own key.
fn random_layer(scratch: &Path, name: &str, megabytes: usize) -> Result<Layer> {
    let script = format!(
        "openssl enc -aes-128-ctr -nosalt -pass pass:{name} -md sha256 -in /dev/zero 2>/dev/null |
         head --bytes={megabytes}MB >data-{name}
         tar --create --file {name}.tar --mtime=@0 --owner=0 --group=0 --mode=644 data-{name}
         rm data-{name}"
    );
    layer(scratch, name, &script)
}

fn layer(scratch: &Path, name: &str, script: &str) -> Result<Layer> {
    shell(scratch, script)?;
    let file = format!("{name}.tar");
    let shown = shell(scratch, &format!("sha256sum {file}"))?;
    let digits = shown.split(' ').next().unwrap_or_default();
    Ok((file, format!("sha256:{digits}")))
}

/// Writes an image's configuration, and gives its entry of the manifest.
fn describe(scratch: &Path, name: &str, layers: &[Layer]) -> Result<Value> {
    let (files, diff_ids): (Vec<_>, Vec<_>) = layers.iter().cloned().unzip();
    let config = json!({
        "architecture": "amd64", "os": "linux", "created": "2026-01-01T00:00:00Z",
        "config": {"Cmd": ["sh"], "Env": ["PATH=/bin"], "Labels": {"name": name}},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    let file = format!("{}.json", name.replace(':', "-"));
    fs::write(scratch.join(&file), config.to_string())?;
    Ok(json!({"Config": file, "RepoTags": [name], "Layers": files}))
}

fn shell(directory: &Path, script: &str) -> Result<String> {
    let output = Command::new("sh").args(["-ec", script]).current_dir(directory).output()?;
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout)?);
    }
    Err(format!("`{script}` failed: {}", String::from_utf8_lossy(&output.stderr)).into())
}
