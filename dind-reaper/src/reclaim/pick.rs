//! Which image goes next: the oldest that nobody needs. Pure.

use crate::engine::images::Image;
use std::collections::BTreeSet;
use std::time::Duration;

/// Younger images stay: `docker run` pulls one and makes its container a moment later. The kubelet waits as long
/// (`imageMinimumGCAge`).
pub const LEAST_AGE: Duration = Duration::from_secs(120);

/// What must not go.
#[derive(Clone, Debug, Default)]
pub struct Needed {
    /// Ids of images that containers are made of, whether they run or not.
    pub in_use: BTreeSet<String>,
    /// Ids of images that are always kept, with or without `sha256:`.
    pub keep: BTreeSet<String>,
    /// Ids of images that the engine has refused to remove.
    pub refused: BTreeSet<String>,
}

impl Needed {
    fn has(&self, image: &Image) -> bool {
        let plain = image.id.strip_prefix("sha256:").unwrap_or(&image.id);
        [&self.in_use, &self.keep, &self.refused]
            .iter()
            .any(|ids| ids.contains(&image.id) || ids.contains(plain))
    }
}

/// The image that has been here the longest, of those that are at least so old; `arrived` and `now` are times since 1970.
///
/// An image that another one was built from stays until that has gone: without it, nothing but its name would go.
pub fn oldest<'a>(
    images: &'a [Image],
    needed: &Needed,
    arrived: impl Fn(&Image) -> Duration,
    now: Duration,
    least_age: Duration,
) -> Option<&'a Image> {
    let parents: BTreeSet<_> = images.iter().map(|image| image.parent.as_str()).collect();
    let least_age = least_age.max(LEAST_AGE);
    images
        .iter()
        .filter(|image| !needed.has(image) && !parents.contains(image.id.as_str()))
        .map(|image| (arrived(image), image))
        .filter(|(arrived, _)| now.saturating_sub(*arrived) >= least_age)
        .min_by(|(one, a), (other, b)| one.cmp(other).then_with(|| a.id.cmp(&b.id)))
        .map(|(_, image)| image)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(id: &str, parent: &str, created: u64) -> Image {
        Image { id: format!("sha256:{id}"), parent: parent.to_owned(), created, ..Image::default() }
    }

    fn picked(images: &[Image], needed: &Needed, now: u64, least_age: u64) -> Option<String> {
        let created = |image: &Image| Duration::from_secs(image.created);
        let (now, least_age) = (Duration::from_secs(now), Duration::from_secs(least_age));
        oldest(images, needed, created, now, least_age).map(|image| image.id.clone())
    }

    #[test]
    fn the_oldest_goes_first_and_what_is_needed_never() {
        let images = [image("b", "", 2000), image("a", "", 1000), image("c", "", 3000), image("d", "", 500)];
        let ids = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let mut needed = Needed { in_use: ids(&["sha256:d"]), ..Needed::default() };
        assert_eq!(picked(&images, &needed, 10_000, 0).as_deref(), Some("sha256:a"));
        needed.keep = ids(&["a"]);
        assert_eq!(picked(&images, &needed, 10_000, 0).as_deref(), Some("sha256:b"));
        needed.refused = ids(&["sha256:b"]);
        assert_eq!(picked(&images, &needed, 10_000, 0).as_deref(), Some("sha256:c"));
        needed.keep = ids(&["a", "sha256:c"]);
        assert_eq!(picked(&images, &needed, 10_000, 0), None);
    }

    #[test]
    fn young_ones_stay_and_so_do_those_of_the_future() {
        let images = [image("a", "", 1000)];
        assert_eq!(picked(&images, &Needed::default(), 1119, 0), None);
        assert!(picked(&images, &Needed::default(), 1120, 0).is_some());
        assert_eq!(picked(&images, &Needed::default(), 4599, 3600), None);
        assert_eq!(picked(&images, &Needed::default(), 10, 0), None);
    }

    #[test]
    fn an_image_goes_after_those_that_were_built_from_it() {
        let images = [image("base", "", 1000), image("built", "sha256:base", 2000)];
        assert_eq!(picked(&images, &Needed::default(), 10_000, 0).as_deref(), Some("sha256:built"));
        let in_use = ["sha256:built".to_owned()].into();
        assert_eq!(picked(&images, &Needed { in_use, ..Needed::default() }, 10_000, 0), None);
    }
}
