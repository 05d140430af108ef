//! Images whose entrypoint is a shell script in the place of the launcher.

use super::{docker, image};
use crate::{scratch, unique};
use std::fs;

/// The shell entrypoint that the README and the page about entrypoints show.
///
/// # Panics
/// It is no longer short.
#[must_use]
pub fn readme_entrypoint() -> String {
    // A part of the program: a guest has no checkout.
    let script = include_str!("../../../dind-launch/examples/entrypoint/flags.sh").to_owned();
    assert!(script.lines().count() < 10, "{script}");
    script
}

/// An image whose entrypoint is a shell script. It is removed when its handle is dropped.
#[derive(Debug)]
pub struct ShellImage {
    /// Its name.
    pub name: String,
}

impl ShellImage {
    /// The image under test with this script.
    ///
    /// # Panics
    /// The outer engine cannot build it.
    #[must_use]
    pub fn build(script: &str) -> Self {
        let directory = scratch();
        fs::write(directory.path().join("entrypoint.sh"), script).unwrap();
        let recipe = format!(
            "FROM {}\nCOPY entrypoint.sh /entrypoint.sh\nRUN chmod +x /entrypoint.sh\nENTRYPOINT [\"/entrypoint.sh\"]\n",
            image()
        );
        fs::write(directory.path().join("Dockerfile"), recipe).unwrap();
        let name = unique("shell");
        docker(&["build", "--quiet", "--tag", &name, directory.path().to_str().unwrap()]).ok();
        Self { name }
    }
}

impl Drop for ShellImage {
    fn drop(&mut self) {
        let _ = docker(&["rmi", "--force", &self.name]);
    }
}
