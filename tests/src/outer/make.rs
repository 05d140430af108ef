//! The makes of outer engines: Docker, and others whose clients take its words.

use super::{Ended, docker};
use crate::unique_link;
use std::fmt::Debug;
use std::sync::Arc;

/// An engine that nodes run on.
pub trait Outer: Debug + Send + Sync {
    /// Its client, with words as Docker's client has them.
    fn client(&self, args: &[&str]) -> Ended;

    /// Options of `network create` for a bridge with a name of its own, and for an MTU.
    fn network_options(&self, mtu: Option<&str>) -> Vec<String>;

    /// What it calls an image that has this name in the tier's engine.
    fn image(&self, name: &str) -> String {
        name.to_owned()
    }
}

/// The tier's own engine, which is Docker's.
#[derive(Debug, Default)]
pub struct Docker {
    /// Its runtime, if not the usual one.
    pub runtime: Option<&'static str>,
}

impl Docker {
    /// As most tests have it.
    #[must_use]
    pub fn usual() -> Arc<dyn Outer> {
        Arc::new(Self::default())
    }
}

impl Outer for Docker {
    fn client(&self, args: &[&str]) -> Ended {
        match (self.runtime, args) {
            (Some(runtime), [verb @ ("run" | "create"), rest @ ..]) => {
                docker(&[&[*verb, "--runtime", runtime], rest].concat())
            }
            _ => docker(args),
        }
    }

    fn network_options(&self, mtu: Option<&str>) -> Vec<String> {
        let mut options =
            vec!["--opt".to_owned(), format!("com.docker.network.bridge.name={}", unique_link())];
        if let Some(mtu) = mtu {
            options.extend(["--opt".to_owned(), format!("com.docker.network.driver.mtu={mtu}")]);
        }
        options
    }
}
