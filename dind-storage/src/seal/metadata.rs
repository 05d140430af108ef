//! Everything in a seed but the layers' files: few and small files, which are the same for the same images.

use super::select::Selection;
use super::trouble::Trouble;
use crate::seed::manifest::{self, DRIVER, FORMAT, Loaded, Manifest, SeedImage, SeedLayer};
use crate::seed::metadata;
use crate::store::Store;
use crate::store::digest::Digest;
use crate::store::layer::Layer;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use serde_json::Value;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Writes the files, with the manifest, beside the layers' files that are there.
///
/// # Errors
/// A file of the data root cannot be read, or one of the seed not be written.
pub(super) fn write(
    from: &Store,
    to: &Store,
    selection: &Selection,
    hides_files: &[bool],
) -> Result<Loaded, Trouble> {
    for id in selection.images.keys() {
        copy(&from.image_content(id), &to.image_content(id))?;
        image_metadata(from, to, selection, id)?;
    }
    let mut lowers: Vec<(&Digest, String)> = Vec::new();
    for layer in &selection.layers {
        copy_files(&from.layer(&layer.chain_id), &to.layer(&layer.chain_id), |_| true)?;
        distribution(from, to, layer)?;
        let cache = to.cache(&layer.cache_id);
        put(&cache.join("link"), layer.link.as_bytes())?;
        if let Some(lower) = lower(&lowers, layer) {
            put(&cache.join("lower"), lower.as_bytes())?;
        }
        let below = lower(&lowers, layer).map_or_else(String::new, |lower| format!(":{lower}"));
        lowers.push((&layer.chain_id, format!("l/{}{below}", layer.link)));
    }
    put(&to.repositories(), selection.repositories.text().as_bytes())?;
    let digest = metadata::digest(&to.root).map_err(|found| Trouble::writing(&found.path, found.error))?;
    let manifest = manifest(selection, hides_files, digest);
    let path = to.root.join(manifest::NAME);
    put(&path, manifest.text().as_bytes())?;
    settle_times(&to.root)?;
    // Nothing that this version itself would refuse is published.
    let text = manifest.text();
    match Manifest::parse(text.as_bytes()) {
        Ok(manifest) => Ok(Loaded { manifest, digest: Digest::of(text.as_bytes()) }),
        Err(unusable) => {
            let fault = unusable.fault(&path);
            Err(Trouble::reading(&from.images(), io::Error::other(fault.message)))
        }
    }
}

/// The short names of the layers beneath, the nearest first, as the driver writes them.
fn lower(known: &[(&Digest, String)], layer: &Layer) -> Option<String> {
    let parent = layer.parent.as_ref()?;
    known.iter().rev().find(|(id, _)| *id == parent).map(|(_, lower)| lower.clone())
}

fn manifest(selection: &Selection, hides_files: &[bool], digest: Digest) -> Manifest {
    let image = |(id, image): (&Digest, &crate::store::image::Image)| SeedImage {
        id: id.clone(),
        names: selection.repositories.names_of(id),
        layers: image.layers.clone(),
    };
    let layer = |(layer, hides_files): (&Layer, &bool)| SeedLayer {
        chain_id: layer.chain_id.clone(),
        diff_id: layer.diff_id.clone(),
        parent: layer.parent.clone(),
        cache_id: layer.cache_id.clone(),
        link: layer.link.clone(),
        size_bytes: layer.size,
        hides_files: *hides_files,
    };
    Manifest {
        format: FORMAT,
        driver: DRIVER.to_owned(),
        images: selection.images.iter().map(image).collect(),
        size_bytes: selection.layers.iter().map(|layer| layer.size).sum(),
        layers: selection.layers.iter().zip(hides_files).map(layer).collect(),
        digest,
    }
}

/// What is known of an image apart from its configuration; the image that it was built on only if that is there, too.
fn image_metadata(from: &Store, to: &Store, selection: &Selection, id: &Digest) -> Result<(), Trouble> {
    let directory = from.image_metadata(id);
    let parent = fs::read_to_string(directory.join("parent")).ok().and_then(|text| Digest::parse(&text));
    let with_parent = parent.is_some_and(|parent| selection.images.contains_key(&parent));
    copy_files(&directory, &to.image_metadata(id), |name| with_parent || name != "parent")
}

/// What is known of a layer's digests in registries, by which it is pushed without its content. What was made of somebody's
/// password to distinguish accounts (`HMAC`; moby, `distribution/metadata/v2_metadata_service.go`) is left out.
fn distribution(from: &Store, to: &Store, layer: &Layer) -> Result<(), Trouble> {
    let diff_id = &layer.diff_id;
    let path = |store: &Store, kind: &str, id: &Digest| {
        store.images().join("distribution").join(kind).join("sha256").join(id.hex())
    };
    let known = path(from, "v2metadata-by-diffid", diff_id);
    let text = match fs::read(&known) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Trouble::reading(&known, error)),
    };
    // Without it, the layer is pushed with its content: no reason to refuse an image.
    let Ok(Value::Array(mut entries)) = serde_json::from_slice(&text) else { return Ok(()) };
    for entry in &mut entries {
        if let Some(mac) = entry.get_mut("HMAC") {
            *mac = Value::from("");
        }
        let digest = entry.get("Digest").and_then(Value::as_str).and_then(Digest::parse);
        if let Some(digest) = digest {
            let back = path(to, "diffid-by-digest", &digest);
            // Layers with the same content have the same file.
            if !back.exists() {
                put(&back, diff_id.to_string().as_bytes())?;
            }
        }
    }
    let to = path(to, "v2metadata-by-diffid", diff_id);
    if to.exists() { Ok(()) } else { put(&to, Value::Array(entries).to_string().as_bytes()) }
}

/// Copies the files of a directory; none where there is none.
fn copy_files(from: &Path, to: &Path, wanted: impl Fn(&str) -> bool) -> Result<(), Trouble> {
    let unreadable = |error| Trouble::reading(from, error);
    let entries = match fs::read_dir(from) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unreadable(error)),
    };
    for entry in entries {
        let entry = entry.map_err(unreadable)?;
        let is_file = entry.file_type().map_err(unreadable)?.is_file();
        if let Some(name) = entry.file_name().to_str().filter(|name| is_file && wanted(name)) {
            copy(&entry.path(), &to.join(name))?;
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<(), Trouble> {
    let mut source = File::open(from).map_err(|error| Trouble::reading(from, error))?;
    let mut file = create(to)?;
    io::copy(&mut source, &mut file).map(drop).map_err(|error| Trouble::writing(to, error))
}

fn put(path: &Path, content: &[u8]) -> Result<(), Trouble> {
    create(path)?.write_all(content).map_err(|error| Trouble::writing(path, error))
}

/// Makes a directory, and those on its way. Only root may go in: layers have programs that are set-user-id root.
pub(super) fn make_directory(path: &Path) -> Result<(), Trouble> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| Trouble::writing(path, error))
}

/// Makes a file, and the directories on its way.
fn create(path: &Path) -> Result<File, Trouble> {
    make_directory(path.parent().unwrap_or(path))?;
    let mut how = OpenOptions::new();
    how.write(true).create_new(true).mode(0o644).open(path).map_err(|error| Trouble::writing(path, error))
}

/// Sets the times of everything but the layers' files to 0: a seed does not depend on when it was made.
fn settle_times(root: &Path) -> Result<(), Trouble> {
    let settle = |path: &Path| {
        let zero = TimeSpec::new(0, 0);
        let done = utimensat(nix::fcntl::AT_FDCWD, path, &zero, &zero, UtimensatFlags::NoFollowSymlink);
        done.map_err(|error| Trouble::writing(path, error))
    };
    let mut below: Vec<PathBuf> = vec![root.to_owned()];
    while let Some(directory) = below.pop() {
        let unwritable = |error| Trouble::writing(&directory, error);
        for entry in fs::read_dir(&directory).map_err(unwritable)? {
            let entry = entry.map_err(unwritable)?;
            let is_directory = entry.file_type().map_err(unwritable)?.is_dir();
            if !is_directory {
                settle(&entry.path())?;
            } else if entry.file_name() != "diff" {
                below.push(entry.path());
            }
        }
        settle(&directory)?;
    }
    Ok(())
}
