//! What holds for any input of a parser. The fuzz targets of dind-storage/fuzz run the same.

use dind_storage::image::inspect::ImageInfo;
use dind_storage::image::superblock;
use dind_system::proc::{mount_at, mount_of, parse_mounts, points_below};
use std::path::Path;

/// Any bytes are a superblock or none, and what is concluded from it has an answer for files of any size.
pub(crate) fn superblock(bytes: &[u8]) {
    let Some(superblock) = superblock::parse(bytes) else { return };
    for (size, allocated) in [(0, 0), (superblock.bytes, superblock.bytes), (u64::MAX, u64::MAX)] {
        let image = ImageInfo { size, allocated, sector: 0, superblock: superblock.clone() };
        let _ = image.needs_check();
        assert!(allocated < u64::MAX || !image.is_sparse());
        assert!(size > image.superblock.bytes || !image.is_half_grown());
    }
}

/// Any text is a list of mounts, and every question about it has an answer.
pub(crate) fn mounts(text: &str) {
    let mounts = parse_mounts(text);
    assert!(mounts.len() <= text.lines().count());
    for mount in &mounts {
        let top = mount_at(&mounts, &mount.point).map(|top| &top.point);
        assert_eq!(top, Some(&mount.point));
        let inside = mount_of(&mounts, mount.point.join("x")).map(|found| &found.point);
        assert!(
            inside.is_some_and(|found| found.starts_with(&mount.point) || mount.point.starts_with(found))
        );
        let below = points_below(&mounts, &mount.point);
        assert!(below.iter().all(|point| point != &mount.point && point.starts_with(&mount.point)));
    }
    let below = points_below(&mounts, Path::new("/"));
    let depth = |point: &Path| point.components().count();
    assert!(below.windows(2).all(|pair| depth(&pair[0]) >= depth(&pair[1])), "{below:?}");
}
