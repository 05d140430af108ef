//! The engine that `docker run` on this machine talks to, as `docker info` describes it.

use dind_system::{Helper, Root};
use serde_json::Value;
use std::time::Duration;

/// What `docker info` prints on a captured machine.
const CAPTURED: &str = "/.dind/docker-info.json";

/// An engine that is there answers in a tenth of a second, on an emulated machine in several; one at a dead address, not at all.
const LIMIT: Duration = Duration::from_secs(20);

/// By what the client finds its engine (docker(1), "Environment variables").
const CLIENT: &[&str] =
    &["HOME", "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"];

/// What matters for a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OuterEngine {
    /// Who makes the cgroups of its containers: `systemd` or `cgroupfs`.
    pub cgroup_driver: String,
    /// Whether it maps the users of its containers to others of the machine (`userns-remap`).
    pub maps_users: bool,
}

/// Asks it; none where no engine answers.
pub(super) fn ask(root: &Root) -> Option<OuterEngine> {
    if !root.is_host() {
        return parse(&root.read(CAPTURED).ok()?);
    }
    let docker = Helper::find("docker")?.keep(CLIENT).args(["info", "--format", "{{json .}}"]);
    parse(&docker.run(LIMIT).ok()?.stdout)
}

/// A client without an engine prints a document, too, in which the version is missing.
fn parse(text: &str) -> Option<OuterEngine> {
    let info: Value = serde_json::from_str(text).ok()?;
    info["ServerVersion"].as_str().filter(|version| !version.is_empty())?;
    let options = info["SecurityOptions"].as_array().into_iter().flatten().filter_map(Value::as_str);
    Some(OuterEngine {
        cgroup_driver: info["CgroupDriver"].as_str().unwrap_or_default().to_owned(),
        maps_users: options.into_iter().any(|option| option == "name=userns"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_answers_is_known_by_its_version() {
        let plain = r#"{"ServerVersion":"20.10.24","CgroupDriver":"cgroupfs","SecurityOptions":["name=seccomp,profile=default"]}"#;
        let expected = OuterEngine { cgroup_driver: "cgroupfs".to_owned(), maps_users: false };
        assert_eq!(parse(plain), Some(expected));
        let mapped =
            r#"{"ServerVersion":"28.5.2","CgroupDriver":"systemd","SecurityOptions":["name=userns"]}"#;
        assert!(parse(mapped).unwrap().maps_users);
        for silent in ["", r#"{"ServerVersion":"","SecurityOptions":null}"#, r#"{"ServerErrors":["no"]}"#] {
            assert_eq!(parse(silent), None, "{silent}");
        }
    }
}
