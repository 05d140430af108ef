//! Which engines are supported.

use crate::fault;
use dind_contract::Fault;
use dind_system::EngineVersion;

pub use dind_system::engine::{installed, major, parse};

/// The first engine that supports cgroup v2 (moby 20.10 release notes), and the oldest that the suites run on.
const OLDEST: (u32, u32) = (20, 10);

/// The first engine with an image store in containerd (moby 24.0 release notes).
const CONTAINERD_STORE: u32 = 24;

/// Why this engine is not supported; nothing where it is. A version that has no numbers, as custom builds have, is accepted.
#[must_use]
pub fn objection(version: &str) -> Option<String> {
    let mut numbers = version.split(['.', '-', '+', '~']).map_while(|word| word.parse::<u32>().ok());
    let version_numbers = (numbers.next()?, numbers.next()?);
    let (major, minor) = OLDEST;
    (version_numbers < OLDEST).then(|| format!("engine {version} is older than {major}.{minor:02}"))
}

/// Whether the installed engine can keep its images in containerd; so one of unknown version might.
#[must_use]
pub fn has_containerd_store() -> bool {
    let known = EngineVersion::of_installed();
    known.is_at_least(CONTAINERD_STORE, 0).or_else(|| known.asked().is_at_least(CONTAINERD_STORE, 0))
        != Some(false)
}

/// Refuses an engine that is too old.
///
/// # Errors
/// [`fault::ENGINE_UNSUPPORTED`].
pub fn check(version: &str) -> Result<(), Fault> {
    let Some(cause) = objection(version) else { return Ok(()) };
    Err(fault::ENGINE_UNSUPPORTED.cannot("run a node with", "dockerd", cause).hint(HINT))
}

/// What helps against an [`objection`].
pub const HINT: &str = "install Docker Engine 20.10 or newer in the image";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_before_the_oldest_are_refused() {
        for version in ["1.13.1", "18.09.1", "19.03.15+dfsg1", "20.9.0"] {
            assert!(objection(version).is_some(), "{version}");
        }
        for version in
            ["20.10.24+dfsg1", "20.10.0-rc1", "24.0.7", "28.5.2+dfsg2-1", "master-dockerproject-2024", ""]
        {
            assert_eq!(objection(version), None, "{version}");
        }
        assert_eq!(check("19.03.15").unwrap_err().code, fault::ENGINE_UNSUPPORTED);
    }
}
