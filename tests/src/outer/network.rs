//! Networks and volumes of the outer engine.

use super::docker;
use crate::{unique, unique_link};

/// A network of the outer engine.
#[derive(Debug)]
pub struct Network {
    /// Its name.
    pub name: String,
}

impl Network {
    /// A bridge network that hands out addresses of `range`, and leaves the rest of `subnet` to the nodes.
    ///
    /// # Panics
    /// The outer engine refuses.
    #[must_use]
    pub fn new(subnet: &str, range: &str, options: &[&str]) -> Self {
        let network = Self { name: unique("net") };
        let bridge = format!("com.docker.network.bridge.name={}", unique_link());
        let own = ["network", "create", "--subnet", subnet, "--ip-range", range, "--opt", &bridge];
        docker(&[&own[..], options, &[&network.name]].concat()).ok();
        network
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = docker(&["network", "rm", &self.name]);
    }
}

/// A volume of the outer engine.
#[derive(Debug)]
pub struct Volume {
    /// Its name.
    pub name: String,
}

impl Volume {
    /// A new one, with nothing in it.
    ///
    /// # Panics
    /// The outer engine refuses.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it has an effect on the outer engine")]
    pub fn new() -> Self {
        let volume = Self { name: unique("volume") };
        docker(&["volume", "create", &volume.name]).ok();
        volume
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let _ = docker(&["volume", "rm", &self.name]);
    }
}
