//! Networks and volumes of the outer engine.

use super::{Docker, Outer, docker};
use crate::unique;
use std::sync::Arc;

/// A network of the outer engine.
#[derive(Debug)]
pub struct Network {
    /// Its name.
    pub name: String,
    outer: Arc<dyn Outer>,
}

impl Network {
    /// A bridge network that hands out addresses of `range`, and leaves the rest of `subnet` to the nodes.
    ///
    /// # Panics
    /// The outer engine refuses.
    #[must_use]
    pub fn new(subnet: &str, range: &str, options: &[&str]) -> Self {
        Self::create(Docker::usual(), subnet, range, None, options)
    }

    /// The same on an engine of another make, with an MTU.
    ///
    /// # Panics
    /// The engine refuses.
    #[must_use]
    pub fn on(outer: Arc<dyn Outer>, subnet: &str, range: &str, mtu: &str) -> Self {
        Self::create(outer, subnet, range, Some(mtu), &[])
    }

    /// One that was made otherwise.
    #[must_use]
    pub fn named(outer: Arc<dyn Outer>, name: String) -> Self {
        Self { name, outer }
    }

    fn create(outer: Arc<dyn Outer>, subnet: &str, range: &str, mtu: Option<&str>, options: &[&str]) -> Self {
        let own = outer.network_options(mtu);
        let network = Self { name: unique("net"), outer };
        let ranges = ["network", "create", "--subnet", subnet, "--ip-range", range];
        let own: Vec<_> = own.iter().map(String::as_str).collect();
        network.outer.client(&[&ranges[..], &own, options, &[&network.name]].concat()).ok();
        network
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.outer.client(&["network", "rm", &self.name]);
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
