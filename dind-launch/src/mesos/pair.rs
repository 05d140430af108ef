//! Whether the installed agent and the installed engine understand each other.

use super::AGENTS;
use crate::engine::version;
use dind_system::Helper;
use std::time::Duration;

/// From this release on, `GET /images/NAME/json` has no `ContainerConfig` any more (version 1.45 of Docker's API), whose
/// entrypoint Apache's agent reads before each task (src/docker/docker.cpp).
const FIRST_WITHOUT_CONTAINER_CONFIG: u32 = 26;

/// Programs print their version in a few milliseconds.
const LIMIT: Duration = Duration::from_secs(2);

/// The versions of an agent and an engine, as they print them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Such as `1.11.0`.
    pub agent: String,
    /// Such as `28.2.2`.
    pub engine: String,
}

impl Pair {
    /// Asks both; nothing where one of them is not installed, or does not answer.
    #[must_use]
    pub fn installed() -> Option<Self> {
        let version_text = |name: &str| Some(Helper::find(name)?.arg("--version").run(LIMIT).ok()?.stdout);
        let agent = AGENTS.iter().find_map(|name| agent_version(&version_text(name)?))?;
        Some(Self { agent, engine: version::installed()? })
    }

    /// Whether the agent can run tasks on the engine. Clusterd, the successor of Apache's code, can; its versions have a
    /// suffix, such as `1.11.0-0.5.0`.
    #[must_use]
    pub fn fits(&self) -> bool {
        let major = self.engine.split('.').next().and_then(|text| text.parse().ok());
        self.agent.contains('-') || major.is_none_or(|major: u32| major < FIRST_WITHOUT_CONTAINER_CONFIG)
    }
}

fn agent_version(text: &str) -> Option<String> {
    text.lines().find_map(|line| line.trim().strip_prefix("mesos ")).map(|version| version.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apaches_agent_does_not_fit_new_engines() {
        for (agent, engine, expected) in [
            ("mesos 1.11.0\n", "20.10.24+dfsg1", true),
            ("mesos 1.11.0\n", "25.0.5", true),
            ("mesos 1.11.0\n", "26.0.0", false),
            ("mesos 0.28.2\n", "28.2.2-0ubuntu1", false),
            ("mesos 1.11.0-0.5.0\n", "28.2.2", true),
            ("mesos 1.11.0\n", "master-dockerproject", true),
        ] {
            let pair = Pair { agent: agent_version(agent).unwrap(), engine: engine.to_owned() };
            assert_eq!(pair.fits(), expected, "{pair:?}");
        }
        assert_eq!(agent_version("usage: something else"), None);
    }
}
