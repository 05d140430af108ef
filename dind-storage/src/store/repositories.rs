//! `repositories.json`: the names of images.

use super::digest::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;

/// The names, by repository. A name is a tag, such as `debian:12`, or a digest, such as `debian@sha256:…`; in whole, as
/// moby's `reference/store.go` writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repositories {
    #[serde(rename = "Repositories", default)]
    by_repository: BTreeMap<String, BTreeMap<String, Digest>>,
}

impl Repositories {
    /// Parses the file.
    ///
    /// # Errors
    /// It is not the engine's.
    pub fn parse(text: &[u8]) -> io::Result<Self> {
        serde_json::from_slice(text).map_err(io::Error::from)
    }

    /// The file's content.
    #[must_use]
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The names of an image, in order.
    #[must_use]
    pub fn names_of(&self, id: &Digest) -> Vec<String> {
        self.iter().filter(|(_, of)| *of == id).map(|(name, _)| name.to_owned()).collect()
    }

    /// The image that a name leads to.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Digest> {
        self.by_repository.get(repository(name))?.get(name)
    }

    /// Every name with its image.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Digest)> {
        self.by_repository.values().flatten().map(|(name, id)| (name.as_str(), id))
    }

    /// Gives a name to an image. False: the name is another's, or it was there; it stays as it is.
    pub fn add(&mut self, name: &str, id: &Digest) -> bool {
        let names = self.by_repository.entry(repository(name).to_owned()).or_default();
        if names.contains_key(name) {
            return false;
        }
        names.insert(name.to_owned(), id.clone());
        true
    }

    /// Gives a name to an image, and takes it from any other.
    pub fn set(&mut self, name: &str, id: &Digest) {
        self.by_repository
            .entry(repository(name).to_owned())
            .or_default()
            .insert(name.to_owned(), id.clone());
    }

    /// Takes away a name.
    pub fn take(&mut self, name: &str) {
        if let Some(names) = self.by_repository.get_mut(repository(name)) {
            names.remove(name);
        }
        self.by_repository.retain(|_, names| !names.is_empty());
    }

    /// Takes away all names of an image.
    pub fn remove(&mut self, id: &Digest) {
        for names in self.by_repository.values_mut() {
            names.retain(|_, of| of != id);
        }
        self.by_repository.retain(|_, names| !names.is_empty());
    }
}

/// Whether a text can be the name of an image in whole: with a tag or a digest, and of the characters that such names have
/// (github.com/distribution/reference, `reference.go`).
#[must_use]
pub fn is_reference(text: &str) -> bool {
    let rest = text.strip_prefix(repository(text)).unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@+".contains(&byte);
    rest.len() > 1 && rest.len() < text.len() && text.bytes().all(is_plain)
}

/// A name without its tag or digest. A colon before the last slash is that of a registry's port.
fn repository(name: &str) -> &str {
    if let Some((repository, _)) = name.split_once('@') {
        return repository;
    }
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_a_tag_or_a_digest() {
        let digest = format!("debian@{}", Digest::of(b""));
        for name in ["debian:12", "localhost:5000/a/b_c.d:1-2", &digest, &digest.replace('@', ":12@")] {
            assert!(is_reference(name), "{name}");
        }
        for name in ["", "debian", "debian:", ":12", "localhost:5000/a", "a b:1", "a:1\n"] {
            assert!(!is_reference(name), "{name}");
        }
    }

    #[test]
    fn a_name_belongs_to_one_image_and_is_never_taken() {
        let (first, second) = (Digest::of(b"1"), Digest::of(b"2"));
        let text = format!(
            r#"{{"Repositories":{{"debian":{{"debian:12":"{first}","debian@{first}":"{first}"}}}}}}"#
        );
        let mut names = Repositories::parse(text.as_bytes()).unwrap();
        assert_eq!(names.text(), text);
        assert!(!names.add("debian:12", &second));
        assert!(names.add("registry:5000/team/app:1", &second));
        assert_eq!(names.get("registry:5000/team/app:1"), Some(&second));
        assert_eq!(names.names_of(&first), ["debian:12".to_owned(), format!("debian@{first}")]);
        names.remove(&first);
        assert_eq!(names.get("debian:12"), None);
        assert!(names.text().contains(r#"{"registry:5000/team/app":{"registry:5000/team/app:1":"#));
        assert!(Repositories::parse(br#"{"Repositories":{"a":{"a:1":"../../etc"}}}"#).is_err());
        assert_eq!(Repositories::parse(b"{}").unwrap(), Repositories::default());
    }
}
