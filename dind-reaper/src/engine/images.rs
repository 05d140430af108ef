//! The requests of `reclaim`: images, who uses them, and their removal without force.

use super::{Engine, RequestError};
use bollard::errors::Error;
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListImagesOptionsBuilder, PruneBuildOptionsBuilder,
    RemoveImageOptionsBuilder,
};
use dind_contract::Fault;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

/// An image, as the engine lists it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Its full id, `sha256:…`.
    pub id: String,
    /// The image that it was made of by the classic builder, in this engine.
    pub parent: String,
    /// Its tags; without any, its digests.
    pub names: Vec<String>,
    /// When it was made, in seconds since 1970.
    pub created: u64,
}

impl Engine {
    /// Lists all images, those between the steps of a build among them.
    ///
    /// # Errors
    /// The engine does not answer as it should.
    pub async fn images(&self) -> Result<Vec<Image>, Fault> {
        let options = ListImagesOptionsBuilder::new().all(true).build();
        let listed = self.docker.list_images(Some(options)).await;
        let listed =
            listed.map_err(|error| self.failed("list the images of", &super::with_sources(&error)))?;
        let image = |summary: bollard::models::ImageSummary| {
            let named = |names: Vec<String>| {
                names.into_iter().filter(|name| !name.contains("<none>")).collect::<Vec<_>>()
            };
            let tags = named(summary.repo_tags);
            let names = if tags.is_empty() { named(summary.repo_digests) } else { tags };
            let created = u64::try_from(summary.created).unwrap_or_default();
            Image { id: summary.id, parent: summary.parent_id, names, created }
        };
        Ok(listed.into_iter().map(image).collect())
    }

    /// The ids of images that containers are made of, whether they run or not.
    ///
    /// # Errors
    /// The engine does not answer as it should.
    pub async fn images_in_use(&self) -> Result<BTreeSet<String>, Fault> {
        let options = ListContainersOptionsBuilder::new().all(true).build();
        match self.docker.list_containers(Some(options)).await {
            Ok(containers) => Ok(containers.into_iter().filter_map(|one| one.image_id).collect()),
            Err(error) => Err(self.failed("list the containers of", &super::with_sources(&error))),
        }
    }

    /// Removes a name of an image, and with the last one the image. By an id, removes an image without names. Never with force:
    /// the engine refuses what a container is made of.
    ///
    /// # Errors
    /// It no longer exists, or the engine refuses.
    pub async fn remove_image(&self, name: &str) -> Result<(), RequestError> {
        let options = RemoveImageOptionsBuilder::new().force(false).noprune(false).build();
        self.docker.remove_image(name, Some(options), None).await?;
        Ok(())
    }

    /// Removes the build cache that was not used for this long. What a build uses now stays. Returns how many records are gone.
    ///
    /// # Errors
    /// The engine does not answer as it should.
    pub async fn prune_build_cache(&self, unused: Duration) -> Result<usize, RequestError> {
        let mut options = PruneBuildOptionsBuilder::new().all(true);
        let filters = HashMap::from([("until".to_owned(), vec![format!("{}s", unused.as_secs())])]);
        if !unused.is_zero() {
            options = options.filters(&filters);
        }
        match self.docker.prune_build(Some(options.build())).await {
            Ok(answer) => Ok(answer.caches_deleted.map_or(0, |records| records.len())),
            // An engine without BuildKit has no such cache.
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }
}
