//! What an engine would find in a data root, and whether it is whole.

use dind_tests::eventually;
use dind_tests::store::digits;
use nix::mount::{MsFlags, mount};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What an engine would find in a data root.
pub(crate) struct Contents {
    root: PathBuf,
    /// Names, by id.
    pub(crate) names: BTreeMap<String, BTreeSet<String>>,
}

impl Contents {
    pub(crate) fn read(root: &Path) -> Self {
        let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for entry in fs::read_dir(root.join("image/overlay2/imagedb/content/sha256")).unwrap() {
            let id = format!("sha256:{}", entry.unwrap().file_name().into_string().unwrap());
            names.insert(id, BTreeSet::new());
        }
        let text =
            fs::read_to_string(root.join("image/overlay2/repositories.json")).unwrap_or("{}".to_owned());
        let text: Value = serde_json::from_str(&text).unwrap();
        for (name, id) in text["Repositories"]
            .as_object()
            .into_iter()
            .flatten()
            .flat_map(|(_, names)| names.as_object().unwrap())
        {
            let of = names.get_mut(id.as_str().unwrap());
            of.unwrap_or_else(|| panic!("{name} leads to {id}, which is not there")).insert(name.clone());
        }
        Self { root: root.to_owned(), names }
    }

    /// The chain ids of an image's layers, the lowest first.
    fn chain(&self, id: &str) -> Vec<String> {
        let config =
            fs::read(self.root.join("image/overlay2/imagedb/content/sha256").join(digits(id))).unwrap();
        assert_eq!(dind_tests::store::sha256(&config), digits(id), "the image is damaged");
        let config: Value = serde_json::from_slice(&config).unwrap();
        let mut chain: Vec<String> = Vec::new();
        for diff_id in config["rootfs"]["diff_ids"].as_array().unwrap() {
            let diff_id = diff_id.as_str().unwrap();
            chain.push(match chain.last() {
                None => digits(diff_id).to_owned(),
                Some(parent) => dind_tests::store::sha256(format!("sha256:{parent} {diff_id}")),
            });
        }
        chain
    }

    /// Checks what an engine relies on: each image's chain of layers is whole, each layer has a directory of the driver's, a short
    /// name that leads there, and in `lower` those beneath; an overlay of them shows the files. Returns these by the images' first
    /// names.
    pub(crate) fn check(&self, scratch: &Path) -> BTreeMap<String, BTreeMap<String, String>> {
        let mut images = BTreeMap::new();
        for (id, names) in &self.names {
            let chain = self.chain(id);
            let files = self.files(&chain, scratch);
            images.insert(names.first().unwrap_or(id).clone(), files);
        }
        // No layer is there without its parent, whether or not an image needs it.
        for entry in fs::read_dir(self.root.join("image/overlay2/layerdb/sha256")).unwrap() {
            let path = entry.unwrap().path();
            if let Ok(parent) = fs::read_to_string(path.join("parent")) {
                assert!(path.with_file_name(digits(&parent)).exists(), "{path:?} has no parent");
            }
            self.cache(path.file_name().unwrap().to_str().unwrap());
        }
        images
    }

    /// The driver's directory of a layer, with its short name and what is beneath it.
    fn cache(&self, chain_id: &str) -> (PathBuf, String, Vec<String>) {
        let described = self.root.join("image/overlay2/layerdb/sha256").join(chain_id);
        for name in ["diff", "size", "tar-split.json.gz", "cache-id"] {
            assert!(fs::metadata(described.join(name)).unwrap().len() > 0, "{described:?} {name}");
        }
        let driver = self.root.join("overlay2");
        let cache = driver.join(fs::read_to_string(described.join("cache-id")).unwrap());
        let link = fs::read_to_string(cache.join("link")).unwrap();
        let real = |path: PathBuf| fs::canonicalize(path).unwrap();
        assert_eq!(real(driver.join("l").join(&link)), real(cache.join("diff")));
        let lower = fs::read_to_string(cache.join("lower")).unwrap_or_default();
        let lower = lower.split(':').filter(|short| !short.is_empty()).map(str::to_owned).collect();
        (cache, link, lower)
    }

    fn files(&self, chain: &[String], scratch: &Path) -> BTreeMap<String, String> {
        let mut beneath: Vec<String> = Vec::new();
        for chain_id in chain {
            let (_, link, lower) = self.cache(chain_id);
            assert_eq!(lower, beneath, "`lower` of {chain_id}");
            beneath.insert(0, format!("l/{link}"));
        }
        if beneath.is_empty() {
            return BTreeMap::new();
        }
        for name in ["empty", "merged"] {
            fs::create_dir_all(scratch.join(name)).unwrap();
        }
        let driver = self.root.join("overlay2");
        let mut lower: Vec<_> =
            beneath.iter().map(|short| driver.join(short).display().to_string()).collect();
        // An overlay of a single layer needs a second one.
        lower.push(scratch.join("empty").display().to_string());
        let merged = scratch.join("merged");
        let options = format!("lowerdir={}", lower.join(":"));
        mount(Some("overlay"), &merged, Some("overlay"), MsFlags::empty(), Some(options.as_str())).unwrap();
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(&merged).unwrap() {
            let entry = entry.unwrap();
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            files.insert(entry.file_name().into_string().unwrap(), text);
        }
        unmount(&merged);
        files
    }

    /// What `docker rmi` does: names, image, and the layers that nothing else needs.
    pub(crate) fn remove(&self, id: &str) {
        let images = self.root.join("image/overlay2");
        let chain = self.chain(id);
        let mut names: Value =
            serde_json::from_slice(&fs::read(images.join("repositories.json")).unwrap()).unwrap();
        for names in names["Repositories"].as_object_mut().unwrap().values_mut() {
            names.as_object_mut().unwrap().retain(|_, of| of != id);
        }
        fs::write(images.join("repositories.json"), names.to_string()).unwrap();
        fs::remove_file(images.join("imagedb/content/sha256").join(digits(id))).unwrap();
        let _ = fs::remove_dir_all(images.join("imagedb/metadata/sha256").join(digits(id)));
        let others = Self::read(&self.root);
        let mut needed: BTreeSet<String> = others.names.keys().flat_map(|id| others.chain(id)).collect();
        for entry in fs::read_dir(images.join("layerdb/mounts")).into_iter().flatten().flatten() {
            let parent = fs::read_to_string(entry.path().join("parent")).unwrap();
            let mut next = Some(digits(&parent).to_owned());
            while let Some(chain_id) = next {
                let parent = fs::read_to_string(images.join("layerdb/sha256").join(&chain_id).join("parent"));
                next = parent.ok().map(|parent| digits(&parent).to_owned());
                needed.insert(chain_id);
            }
        }
        for chain_id in chain.iter().rev().filter(|chain_id| !needed.contains(*chain_id)) {
            let (cache, link, _) = self.cache(chain_id);
            fs::remove_dir_all(images.join("layerdb/sha256").join(chain_id)).unwrap();
            fs::remove_file(self.root.join("overlay2/l").join(link)).unwrap();
            // As the driver does (moby, `pkg/containerfs`, EnsureRemoveAll).
            let _ = nix::mount::umount(&cache.join("diff"));
            fs::remove_dir_all(cache).unwrap();
        }
    }
}

/// Unmounts. A program that another test starts just then has our open files, too, until it is executed.
pub(crate) fn unmount(point: &Path) {
    eventually("nobody uses it any more", Duration::from_secs(5), || nix::mount::umount(point).ok());
}
