//! One round: takes what nobody needs, oldest first, until the disk is below the share, or nothing is left to take.

use super::disk::{Usage, usage};
use super::pick::{Needed, oldest};
use super::report::{Kind, Taken};
use crate::TOOL;
use crate::engine::Engine;
use crate::engine::images::Image;
use dind_contract::Fault;
use dind_contract::finish::log;
use dind_system::time_of_day;
use std::fs;
use std::path::Path;
use std::time::Duration;
use tokio::time::sleep;

const HOUR: u64 = 3600;

/// The ages, in seconds, in which build cache and images take turns: what has not been used, or has been here, for a month, then
/// for two weeks, and so on. Within a turn the cache goes at once, and images one by one.
const AGES: [u64; 11] = [
    720 * HOUR,
    336 * HOUR,
    168 * HOUR,
    72 * HOUR,
    24 * HOUR,
    12 * HOUR,
    6 * HOUR,
    3 * HOUR,
    HOUR,
    HOUR / 3,
    0,
];

/// How often it is looked whether what was removed is free: XFS and btrfs free it a moment later.
const SETTLE: Duration = Duration::from_millis(50);
/// It has settled once nothing was freed in so many looks, and is not waited for longer than the other number.
const QUIET_LOOKS: u32 = 3;
const MOST_LOOKS: u32 = 40;

/// A round.
pub(super) struct Round<'a> {
    pub(super) engine: &'a Engine,
    pub(super) data_root: &'a Path,
    pub(super) above: u8,
    pub(super) needed: Needed,
    /// How full the disk is by now.
    pub(super) disk: Usage,
    pub(super) taken: Vec<Taken>,
}

impl Round<'_> {
    /// Takes.
    ///
    /// # Errors
    /// The engine does not answer as it should. What has been taken by then is in `taken`.
    pub(super) async fn run(&mut self) -> Result<(), Fault> {
        for age in AGES.map(Duration::from_secs) {
            if !self.disk.is_above(self.above) {
                break;
            }
            self.take_build_cache(age).await?;
            while self.disk.is_above(self.above) && self.take_image(age).await? {}
        }
        Ok(())
    }

    async fn take_build_cache(&mut self, age: Duration) -> Result<(), Fault> {
        let records = match self.engine.prune_build_cache(age).await {
            Ok(records) => records,
            Err(error) => return Err(self.engine.failed("prune the build cache of", &error.to_string())),
        };
        if records > 0 {
            let name = format!("{records} records of the build cache");
            self.note(Kind::BuildCache, name, None).await?;
        }
        Ok(())
    }

    /// False: there is none of that age that could go.
    async fn take_image(&mut self, age: Duration) -> Result<bool, Fault> {
        // Asked again before each: a container may have been made meanwhile.
        self.needed.in_use = self.engine.images_in_use().await?;
        let images = self.engine.images().await?;
        let arrived = |image: &Image| arrived(self.data_root, image);
        let Some(image) = oldest(&images, &self.needed, arrived, time_of_day(), age) else {
            return Ok(false);
        };
        // Whatever comes of it, it is not tried again in this round.
        self.needed.refused.insert(image.id.clone());
        let names = if image.names.is_empty() { vec![image.id.clone()] } else { image.names.clone() };
        for name in &names {
            if let Err(error) = self.engine.remove_image(name).await {
                // It is in use by now, or gone.
                log(TOOL, "reclaim", format!("the engine keeps {name}: {error}"));
                return Ok(true);
            }
        }
        self.note(Kind::Image, names.join(", "), Some(image.id.clone())).await?;
        Ok(true)
    }

    async fn note(&mut self, kind: Kind, name: String, id: Option<String>) -> Result<(), Fault> {
        let before = self.disk;
        self.disk = settled(self.data_root, before).await?;
        let freed_bytes = before.used_bytes.saturating_sub(self.disk.used_bytes);
        let Usage { used_percent, .. } = self.disk;
        let message =
            format!("removed {name}: {freed_bytes} bytes are free again, {used_percent} % are in use");
        log(TOOL, "reclaim", message);
        self.taken.push(Taken { kind, name, id, freed_bytes });
        Ok(())
    }
}

async fn settled(data_root: &Path, before: Usage) -> Result<Usage, Fault> {
    let (mut last, mut quiet) = (before, 0);
    for _ in 0..MOST_LOOKS {
        sleep(SETTLE).await;
        let now = usage(data_root)?;
        quiet = if now.used_bytes < last.used_bytes { 0 } else { quiet + 1 };
        last = now;
        if quiet == QUIET_LOOKS {
            break;
        }
    }
    Ok(last)
}

/// Where containerd has the content of images in a data root.
const CONTAINERD_CONTENT: &str = "containerd/daemon/io.containerd.content.v1.content/blobs/sha256";

/// When an image came into this data root: its configuration is a file there that is written then (moby, image/fs.go). Where images are
/// kept in containerd, it is the manifest by which the engine calls it (containerd, plugins/content/local/writer.go). Of one without
/// either it counts when it was made.
fn arrived(data_root: &Path, image: &Image) -> Duration {
    let made = Duration::from_secs(image.created);
    let Some(digest) = image.id.strip_prefix("sha256:") else { return made };
    let drivers = fs::read_dir(data_root.join("image")).into_iter().flatten().flatten();
    let files = drivers.map(|driver| driver.path().join("imagedb/content/sha256").join(digest));
    let mut files = files.chain([data_root.join(CONTAINERD_CONTENT).join(digest)]);
    let written = files.find_map(|file| fs::metadata(file).ok()?.modified().ok());
    written.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok()).unwrap_or(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_as_old_as_its_file_in_the_data_root() {
        let directory = tempfile::tempdir().unwrap();
        let image = Image { id: "sha256:0a".to_owned(), created: 7, ..Image::default() };
        assert_eq!(arrived(directory.path(), &image), Duration::from_secs(7));
        for content in ["image/overlay2/imagedb/content/sha256", CONTAINERD_CONTENT] {
            let content = directory.path().join(content);
            fs::create_dir_all(&content).unwrap();
            fs::write(content.join("0a"), "{}").unwrap();
            assert!(time_of_day() - arrived(directory.path(), &image) < Duration::from_secs(3600));
            fs::remove_file(content.join("0a")).unwrap();
        }
    }

    #[test]
    fn the_ages_come_down_to_everything() {
        assert!(AGES.is_sorted_by(|a, b| a > b));
        assert_eq!(AGES.last(), Some(&0));
    }
}
