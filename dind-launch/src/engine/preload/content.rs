//! What is in an archive: its images, their names, and how an engine will know them.
//!
//! Archives of `docker save` have had two forms. Both have a `manifest.json` with the configuration of each image (moby,
//! image/spec, v1.2), whose digest is the image's id in a graph driver's store. Since engine 25 they also are OCI layouts: what
//! `index.json` names is the image's id in containerd's store. From an older archive, containerd makes a manifest of its own, and what that
//! says depends on what else its store holds: no one can know its digest before.

use super::programs::ask;
use crate::process::{Node, StopReason};
use dind_system::helper::HELPER_PATH;
use serde::Deserialize;
use serde_json::{Deserializer, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::path::Path;
use std::process::Command;

/// The annotations of `index.json` with an image's name, in containerd's order (core/images/annotations.go, and the OCI image specification).
const NAMES: [&str; 2] = ["io.containerd.image.name", "org.opencontainers.image.ref.name"];

/// What names of Docker's own registry begin with; shortened, they are those of `docker images`.
const REGISTRY: [&str; 3] = ["docker.io/library/", "index.docker.io/library/", "docker.io/"];

/// What tar prints of each file: its name, a line of its own, and its content.
const PRINT: &str = r#"printf '%s\n' "$TAR_FILENAME"; cat; echo"#;

/// What lists the images.
const LISTS: [&str; 2] = ["manifest.json", "index.json"];

/// An image of an archive.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Image {
    /// Its name, as an archive has it: an image of several names is several of these.
    pub(super) name: Option<String>,
    /// The ids that an engine may give it.
    pub(super) ids: Vec<String>,
    /// The file with its configuration, where a `manifest.json` says which that is.
    pub(super) config: Option<String>,
}

/// The images in an archive; none where that cannot be seen without loading it.
///
/// # Errors
/// The node is to stop.
pub(super) fn read(node: &mut Node, archive: &Path) -> Result<Vec<Image>, StopReason> {
    let printed = print(node, archive, LISTS)?;
    Ok(documents(&printed).and_then(|it| images(&it)).unwrap_or_default())
}

/// The configurations of images, by the names of their files; as many as can be read.
///
/// # Errors
/// The node is to stop.
pub(super) fn configs<'a>(
    node: &mut Node,
    archive: &Path,
    images: impl IntoIterator<Item = &'a Image>,
) -> Result<BTreeMap<String, Value>, StopReason> {
    let files: BTreeSet<_> = images.into_iter().filter_map(|image| image.config.as_deref()).collect();
    if files.is_empty() {
        return Ok(BTreeMap::new());
    }
    let printed = print(node, archive, files)?;
    let configs = documents(&printed).unwrap_or_default();
    Ok(configs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// What tar prints of some files. It fails where one of them is missing, and has printed the others. An archive that it cannot read at all
/// is loaded: `docker load` reports what is wrong with it.
fn print<'a>(
    node: &mut Node,
    archive: &Path,
    files: impl IntoIterator<Item = &'a str>,
) -> Result<String, StopReason> {
    let mut command = Command::new("tar");
    command.env_clear().env("PATH", HELPER_PATH).args(["--extract", "--occurrence=1", "--to-command", PRINT]);
    command.arg("--file").arg(archive).arg("--").args(files);
    match ask(node, "tar", command) {
        Ok((_, printed)) => Ok(printed),
        Err(StopReason::Fault(_)) => Ok(String::new()),
        Err(StopReason::Signal(number)) => Err(StopReason::Signal(number)),
    }
}

/// The files that tar has printed, by their names.
fn documents(mut printed: &str) -> Option<Vec<(&str, Value)>> {
    let mut documents = Vec::new();
    while !printed.is_empty() {
        let (name, rest) = printed.split_once('\n')?;
        let mut values = Deserializer::from_str(rest).into_iter();
        documents.push((name, values.next()?.ok()?));
        printed = rest[values.byte_offset()..].trim_start();
    }
    Some(documents)
}

fn images(documents: &[(&str, Value)]) -> Option<Vec<Image>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Entry {
        config: String,
        repo_tags: Option<Vec<String>>,
    }
    let find = |name: &str| documents.iter().find(|(known, _)| *known == name).map(|(_, value)| value);
    let indexed = find("index.json").and_then(indexed).unwrap_or_default();
    let Some(manifest) = find("manifest.json") else { return Some(indexed) };
    let entries: Vec<Entry> = Deserialize::deserialize(manifest).ok()?;
    let only_one = entries.len() == 1;
    let mut images = Vec::new();
    for Entry { config, repo_tags } in entries {
        let digest = config.rsplit('/').next()?.trim_end_matches(".json");
        let id = format!("sha256:{}", digest.trim_start_matches("sha256:"));
        let image = |name: Option<String>| {
            let is_same = |other: &&Image| match (&name, &other.name) {
                (Some(own), Some(other)) => familiar(own) == familiar(other),
                // Which of several images without names is which, only their blobs know.
                (None, None) => only_one,
                _ => false,
            };
            let digests = indexed.iter().filter(is_same).flat_map(|other| other.ids.clone());
            let ids = iter::once(id.clone()).chain(digests).collect();
            Image { name, ids, config: Some(config.clone()) }
        };
        match repo_tags.unwrap_or_default() {
            names if names.is_empty() => images.push(image(None)),
            names => images.extend(names.into_iter().map(|name| image(Some(name)))),
        }
    }
    Some(images)
}

/// What the index of an OCI layout names.
fn indexed(index: &Value) -> Option<Vec<Image>> {
    let image = |descriptor: &Value| {
        let annotations = &descriptor["annotations"];
        let name = NAMES.iter().find_map(|key| annotations[key].as_str()).map(str::to_owned);
        Some(Image { name, ids: vec![descriptor["digest"].as_str()?.to_owned()], config: None })
    };
    index["manifests"].as_array()?.iter().map(image).collect()
}

/// A name as `docker images` shows it.
fn familiar(name: &str) -> &str {
    REGISTRY.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(members: &[(&str, &str)]) -> Option<Vec<Image>> {
        let printed: String = members.iter().map(|(name, text)| format!("{name}\n{text}\n")).collect();
        documents(&printed).and_then(|documents| images(&documents))
    }

    fn image(name: Option<&str>, ids: &[&str], config: Option<&str>) -> Image {
        let ids = ids.iter().map(|digits| format!("sha256:{digits}")).collect();
        Image { name: name.map(str::to_owned), ids, config: config.map(str::to_owned) }
    }

    #[test]
    fn an_archive_of_an_old_engine() {
        let manifest = r#"[{"Config":"ab12.json","RepoTags":["a:1","a:2"],"Layers":["x/layer.tar"]}]"#;
        let expected = ["a:1", "a:2"].map(|name| image(Some(name), &["ab12"], Some("ab12.json")));
        assert_eq!(of(&[("manifest.json", manifest)]), Some(expected.to_vec()));
    }

    #[test]
    fn an_archive_of_a_new_engine() {
        let manifest = r#"[{"Config":"blobs/sha256/cd34","RepoTags":["a:1","r.example/b:2"],"Layers":[]},
            {"Config":"blobs/sha256/ee","RepoTags":null,"Layers":[]}]"#;
        let index = r#"{"schemaVersion":2,"manifests":[
            {"digest":"sha256:01","annotations":{"io.containerd.image.name":"docker.io/library/a:1","org.opencontainers.image.ref.name":"1"}},
            {"digest":"sha256:02","annotations":{"io.containerd.image.name":"r.example/b:2"}},
            {"digest":"sha256:03"}]}"#;
        let expected = vec![
            image(Some("a:1"), &["cd34", "01"], Some("blobs/sha256/cd34")),
            image(Some("r.example/b:2"), &["cd34", "02"], Some("blobs/sha256/cd34")),
            image(None, &["ee"], Some("blobs/sha256/ee")),
        ];
        assert_eq!(of(&[("index.json", index), ("manifest.json", manifest)]), Some(expected));
        let alone = r#"[{"Config":"blobs/sha256/ee","RepoTags":null}]"#;
        let expected = vec![image(None, &["ee", "03"], Some("blobs/sha256/ee"))];
        assert_eq!(of(&[("manifest.json", alone), ("index.json", index)]), Some(expected));
    }

    #[test]
    fn archives_of_other_programs() {
        let index = r#"{"manifests":[{"digest":"sha256:01","annotations":{"org.opencontainers.image.ref.name":"a:1"}}]}"#;
        assert_eq!(of(&[("index.json", index)]), Some(vec![image(Some("a:1"), &["01"], None)]));
        // go-containerregistry's.
        let manifest = r#"[{"Config":"sha256:ab12","RepoTags":["a:1"],"Layers":["x.tar.gz"]}]"#;
        let expected = vec![image(Some("a:1"), &["ab12"], Some("sha256:ab12"))];
        assert_eq!(of(&[("manifest.json", manifest)]), Some(expected));
    }

    #[test]
    fn what_no_one_can_read_has_no_images() {
        assert_eq!(of(&[("manifest.json", "{}")]), None);
        assert_eq!(of(&[("manifest.json", "no JSON")]), None);
        assert_eq!(of(&[]), Some(vec![]));
        let two = documents("a.json\n{\"x\": 1}\n\nb\n{}");
        assert_eq!(two, Some(vec![("a.json", json!({"x": 1})), ("b", json!({}))]));
    }
}
