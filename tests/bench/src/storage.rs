//! Loop images against the same by hand, and writing to one against writing to the volume that it lies on.

use crate::in_directory;
use crate::series::{Series, Task, in_turns, timed};
use crate::table::{Row, print};
use dind_lab::{Result, Workspace};
use nix::mount::{MsFlags, mount, umount};
use nix::sched::{CloneFlags, unshare};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What is written at once, in MiB.
const WRITTEN: usize = 512;

/// Writing takes seconds a round.
const MOST_ROUNDS_OF_WRITING: usize = 7;

/// Measures and prints.
pub(super) fn run(workspace: &Workspace, rounds: usize) -> Result<()> {
    in_directory(workspace, "dind-storage", rounds, |tool, directory| {
        // Whatever is mounted here goes with this process.
        unshare(CloneFlags::CLONE_NEWNS)?;
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
        let site = Site { tool, directory };
        images(&site, rounds)?;
        clones(&site, rounds.min(MOST_ROUNDS_OF_WRITING))?;
        writing(&site, rounds.min(MOST_ROUNDS_OF_WRITING))
    })
}

/// Where it is measured: on the volume that holds the build directory.
struct Site<'a> {
    tool: &'a Path,
    directory: &'a Path,
}

impl Site<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Time of a run of `dind-storage`, from fork to exit.
    fn storage(&self, verb: &str, size: &str, sparse: bool) -> Result<Duration> {
        let mut command = Command::new(self.tool);
        command.arg(verb).env_clear().env("DIND_STORAGE_BACKING", "loop").env("VAR_LIB_DOCKER_SIZE", size);
        command.env("DIND_DATA_ROOT", self.path("root")).env("DIND_STORAGE_IMAGE", self.path("image"));
        timed(command.env("DIND_STORAGE_SPARSE", if sparse { "true" } else { "false" }))
    }

    /// A first apply; the image is gone again afterwards.
    fn first_apply(&self, size: &str, sparse: bool) -> Result<Duration> {
        let took = self.storage("apply", size, sparse)?;
        self.storage("release", "", false)?;
        fs::remove_file(self.path("image"))?;
        Ok(took)
    }

    fn by_hand(&self) -> Result<Duration> {
        let (image, root) = (self.path("image"), self.path("root"));
        let script = "truncate -s 5G \"$1\" && mkfs.ext4 -q -F \"$1\" && mount -o loop \"$1\" \"$2\"";
        let took = timed(Command::new("sh").args(["-c", script, "sh"]).arg(&image).arg(&root))?;
        umount(&root)?;
        fs::remove_file(image)?;
        Ok(took)
    }
}

fn images(site: &Site<'_>, rounds: usize) -> Result<()> {
    fs::create_dir_all(site.path("root"))?;
    let series = in_turns(
        rounds,
        &mut [
            Task::new("by hand: truncate, mkfs.ext4, mount -o loop", || site.by_hand()),
            Task::new("image of 5 GiB made and mounted, reserved", || site.first_apply("5", false)),
            Task::new("image of 5 GiB made and mounted, sparse", || site.first_apply("5", true)),
            Task::new("image of 1 TB made and mounted, sparse", || site.first_apply("1TB", true)),
            Task::new("apply when nothing is to do", || {
                site.storage("apply", "5", true)?;
                let took = site.storage("apply", "5", true)?;
                site.storage("release", "", false)?;
                fs::remove_file(site.path("image"))?;
                Ok(took)
            }),
        ],
    )?;
    let [by_hand, reserved, sparse, large, nothing] = series.as_slice() else {
        return Err("a series is missing".into());
    };
    let rows = [
        Row::against(by_hand, by_hand),
        Row::against(reserved, by_hand).at_most(40.0),
        Row::against(sparse, by_hand).at_most(40.0),
        Row::against(large, by_hand).at_most(150.0),
        Row::against(nothing, by_hand).at_most(5.0),
    ];
    print("loop images", by_hand.name, &rows);
    Ok(())
}

/// A new image from a golden one with 512 MiB in it: on an XFS, where it shares the blocks, and on the volume, where they are copied.
fn clones(site: &Site<'_>, rounds: usize) -> Result<()> {
    let (file, xfs) = (site.path("xfs.img"), site.path("xfs"));
    fs::create_dir_all(&xfs)?;
    File::create(&file)?.set_len(8 << 30)?;
    timed(Command::new("mkfs.xfs").arg("-q").arg(&file))?;
    timed(Command::new("mount").args(["-o", "loop"]).args([&file, &xfs]))?;
    let golden = xfs.join("golden");
    let storage = |verb: &str, image: &Path, from: &Path| {
        let mut command = Command::new(site.tool);
        command.arg(verb).env_clear().env("DIND_STORAGE_BACKING", "loop").env("VAR_LIB_DOCKER_SIZE", "1");
        command.env("DIND_DATA_ROOT", site.path("root")).env("DIND_STORAGE_IMAGE", image);
        timed(command.env("DIND_STORAGE_IMAGE_FROM", from))
    };
    storage("apply", &golden, Path::new(""))?;
    let mut dd = Command::new("dd");
    dd.args(["if=/dev/urandom", "bs=1M", "conv=fsync", "status=none", &format!("count={WRITTEN}")]);
    timed(dd.arg(format!("of={}", site.path("root/blob").display())))?;
    storage("release", &golden, Path::new(""))?;
    let made = |image: PathBuf, from: &Path| -> Result<Duration> {
        let took = storage("apply", &image, from)?;
        storage("release", &image, Path::new(""))?;
        fs::remove_file(image)?;
        nix::unistd::sync();
        Ok(took)
    };
    let series = in_turns(
        rounds,
        &mut [
            Task::new("image of 1 GiB made empty and mounted", || made(site.path("image"), Path::new(""))),
            Task::new("cloned by reflink and mounted, with 512 MiB", || made(xfs.join("clone"), &golden)),
            Task::new("cloned by copy and mounted, with 512 MiB", || made(site.path("image"), &golden)),
        ],
    );
    umount(&xfs)?;
    fs::remove_file(file)?;
    let series = series?;
    let [empty, reflink, copy]: &[Series; 3] = series.as_slice().try_into()?;
    let rows = [Row::against(empty, empty), Row::against(reflink, empty), Row::against(copy, empty)];
    print("clones", empty.name, &rows);
    Ok(())
}

/// As an inner container writes: through overlay, whose upper layer lies on the image or on the volume.
fn writing(site: &Site<'_>, rounds: usize) -> Result<()> {
    fs::create_dir_all(site.path("root"))?;
    site.storage("apply", "2", false)?;
    let on_volume = Layers::mount(&site.path("layers"), &site.path("on-volume"))?;
    let on_image = Layers::mount(&site.path("root/layers"), &site.path("on-image"))?;
    let series = in_turns(
        rounds,
        &mut [
            Task::new("512 MiB written and synced, on the volume", || on_volume.write()),
            Task::new("512 MiB written and synced, on an image there", || on_image.write()),
        ],
    );
    umount(&on_image.merged)?;
    umount(&on_volume.merged)?;
    site.storage("release", "", false)?;
    let series = series?;
    let [volume, image]: &[Series; 2] = series.as_slice().try_into()?;
    let rows = [Row::against(volume, volume), Row::at_least_as_fast(image, volume, 0.95)];
    print("writing from a container", volume.name, &rows);
    Ok(())
}

/// An overlay.
struct Layers {
    merged: PathBuf,
}

impl Layers {
    fn mount(directory: &Path, merged: &Path) -> Result<Self> {
        let mut options = Vec::new();
        for name in ["lower", "upper", "work"] {
            fs::create_dir_all(directory.join(name))?;
            options.push(format!("{name}dir={}", directory.join(name).display()));
        }
        fs::create_dir_all(merged)?;
        let options = options.join(",");
        mount(Some("overlay"), merged, Some("overlay"), MsFlags::empty(), Some(options.as_str()))?;
        Ok(Self { merged: merged.to_owned() })
    }

    fn write(&self) -> Result<Duration> {
        let file = self.merged.join("file");
        let mut dd = Command::new("dd");
        dd.args(["if=/dev/zero", "bs=1M", "conv=fsync", "status=none", &format!("count={WRITTEN}")]);
        let took = timed(dd.arg(format!("of={}", file.display())))?;
        fs::remove_file(file)?;
        // The removal's writes must not fall into the next turn, which measures the other one.
        nix::unistd::sync();
        Ok(took)
    }
}
