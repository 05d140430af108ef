//! Which images are sealed, and the layers that they need.

use super::data_root::without_images;
use crate::fault;
use crate::store::Store;
use crate::store::digest::Digest;
use crate::store::image::Image;
use crate::store::layer::Layer;
use crate::store::read::{self, Unreadable};
use crate::store::repositories::Repositories;
use dind_contract::Fault;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What is sealed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The images, by id.
    pub images: BTreeMap<Digest, Image>,
    /// Their names.
    pub repositories: Repositories,
    /// Their layers: each after its parent, in an order that the images give.
    pub layers: Vec<Layer>,
}

impl Selection {
    /// Selects images by name or id; without any, all, with those that the classic builder has made on its way.
    ///
    /// # Errors
    /// [`fault::IMAGE_UNKNOWN`], [`fault::DATA_ROOT_UNSUITABLE`] or [`fault::DATA_ROOT_BROKEN`].
    pub fn read(store: &Store, wanted: &[String]) -> Result<Self, Fault> {
        let all = read::image_ids(store).map_err(|error| broken(&error))?;
        if all.is_empty() {
            return Err(without_images(&store.root));
        }
        let names = read::repositories(store).map_err(|error| broken(&error))?;
        let ids: BTreeSet<Digest> = match wanted {
            [] => all.into_iter().collect(),
            wanted => wanted.iter().map(|name| find(name, &all, &names)).collect::<Result<_, _>>()?,
        };
        let mut selection = Self::default();
        let mut known = BTreeSet::new();
        for id in ids {
            let image = Image::read(store, &id)
                .map_err(|error| broken(&Unreadable { path: store.image_content(&id), error }))?;
            for name in names.names_of(&id) {
                selection.repositories.add(&name, &id);
            }
            for (position, chain_id) in image.layers.iter().enumerate() {
                if known.insert(chain_id.clone()) {
                    let below = position.checked_sub(1).map(|below| &image.layers[below]);
                    selection.layers.push(layer(store, chain_id, below).map_err(|error| broken(&error))?);
                }
            }
            selection.images.insert(id, image);
        }
        Ok(selection)
    }
}

fn layer(store: &Store, chain_id: &Digest, below: Option<&Digest>) -> Result<Layer, Unreadable> {
    let path = store.layer(chain_id);
    let layer = Layer::read(store, chain_id).map_err(|error| Unreadable { path: path.clone(), error })?;
    if layer.parent.as_ref() == below {
        return Ok(layer);
    }
    Err(Unreadable { path, error: std::io::Error::other("parent is not the layer beneath") })
}

/// The image that a name or an id leads to, as docker looks for it: names first, and without a tag it is `latest`.
fn find(wanted: &str, all: &[Digest], names: &Repositories) -> Result<Digest, Fault> {
    let name = familiar(wanted);
    let latest = format!("{name}:latest");
    if let Some(id) = names.get(name).or_else(|| names.get(&latest)) {
        return Ok(id.clone());
    }
    let hex = wanted.strip_prefix("sha256:").unwrap_or(wanted);
    let is_hex = !hex.is_empty() && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    let found: Vec<_> = all.iter().filter(|id| is_hex && id.hex().starts_with(hex)).collect();
    let fault = match found[..] {
        [id] => return Ok(id.clone()),
        [] => fault::IMAGE_UNKNOWN.cannot("seal", wanted, "no image has that name or id"),
        _ => fault::IMAGE_UNKNOWN.cannot("seal", wanted, "the ids of several images begin like that"),
    };
    let listed = if found.is_empty() { all.iter().collect() } else { found };
    let mut fault =
        fault.hint("give one of the names or ids that the causes list, or leave --images out for all");
    for id in listed {
        let names = names.names_of(id);
        fault = fault.cause(if names.is_empty() { id.short().to_owned() } else { names.join(", ") });
    }
    Err(fault)
}

/// A name as the engine keeps it: without what every name of Docker Hub begins with.
fn familiar(name: &str) -> &str {
    let hub = name.strip_prefix("docker.io/").or_else(|| name.strip_prefix("index.docker.io/"));
    hub.map_or(name, |name| name.strip_prefix("library/").unwrap_or(name))
}

/// The data root's images are not whole.
pub(super) fn broken(unreadable: &Unreadable) -> Fault {
    let fault = fault::DATA_ROOT_BROKEN.cannot("read", unreadable.path.display(), &unreadable.error);
    fault.hint(hint_for(&unreadable.path))
}

fn hint_for(path: &Path) -> String {
    let id = path.file_name().and_then(|name| name.to_str()).and_then(Digest::from_hex);
    let what = id.map_or_else(|| "the image that has it".to_owned(), |id| format!("what has {}", id.short()));
    format!(
        "remove {what} in a running engine (`docker rmi`), load it again and stop the engine; or leave it out by --images"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_found_by_name_and_by_id_as_docker_finds_it() {
        let hex = |first: &str| Digest::from_hex(&format!("{first:0<64}")).unwrap();
        let all = [hex("abc1"), hex("abc2"), hex("def")];
        let mut names = Repositories::default();
        names.add("debian:latest", &all[0]);
        names.add("debian:12", &all[0]);
        names.add("team/app:1", &all[1]);
        names.add("def:latest", &all[1]);
        let digest = format!("debian@{}", Digest::of(b"manifest"));
        names.add(&digest, &all[2]);
        let found = |name: &str| find(name, &all, &names).ok();
        for name in [
            "debian",
            "debian:12",
            "docker.io/library/debian",
            "index.docker.io/library/debian:12",
            "abc1",
            "sha256:abc1",
        ] {
            assert_eq!(found(name), Some(all[0].clone()), "{name}");
        }
        assert_eq!(found("docker.io/team/app:1"), Some(all[1].clone()));
        assert_eq!(found("def"), Some(all[1].clone()), "a name goes before an id");
        assert_eq!(found("def0"), Some(all[2].clone()));
        assert_eq!(found(&digest), Some(all[2].clone()));
        assert_eq!(found(&all[2].to_string()), Some(all[2].clone()));
        for name in ["team/app", "alpine", "debian:13", "sha256:", "xyz", "library/debian"] {
            let fault = find(name, &all, &names).unwrap_err();
            assert!(fault.message.contains("no image has"), "{fault}");
            assert_eq!(
                fault.causes,
                ["debian:12, debian:latest", "def:latest, team/app:1", &digest],
                "{name}"
            );
        }
        let fault = find("abc", &all, &names).unwrap_err();
        assert!(fault.message.contains("several"), "{fault}");
        assert_eq!(fault.causes.len(), 2);
    }
}
