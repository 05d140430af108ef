//! What changes from run to run: the test program, linked statically, with what it needs in its environment.

use super::Suite;
use crate::product::{binaries, image};
use crate::workspace::Workspace;
use crate::{Result, progress};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use xshell::cmd;

/// The test program of the tier.
const PROGRAM: &str = "vm";

/// Builds the program and packs it into an archive that the guest reads from a disk.
pub(super) fn pack(workspace: &Workspace, suite: &Suite) -> Result<PathBuf> {
    let place = workspace.guests().join("payload");
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    fs::create_dir_all(place.join("bin"))?;
    progress::heading("build the guest's test program");
    fs::copy(build(workspace)?, place.join(PROGRAM))?;
    for (number, args) in suite.runs.iter().enumerate() {
        let args: String = args.iter().map(|arg| format!("{arg}\n")).collect();
        fs::write(place.join(format!("args.{number}")), args)?;
    }
    for tool in binaries::TOOLS {
        fs::copy(workspace.binaries().join(tool), place.join("bin").join(tool))?;
    }
    let shell = &workspace.shell;
    let preload = workspace.preload();
    cmd!(shell, "cp --recursive {preload} {place}/preload").quiet().run()?;
    // Root of a node in a user namespace is one of the others.
    cmd!(shell, "chmod --recursive a+rX {place}/preload").quiet().run()?;
    let env = [
        ("DIND_TEST_DOCKER_HOST", "unix:///var/run/docker.sock"),
        ("DIND_TEST_ENGINE_PID", "1"),
        ("DIND_TEST_IMAGE", suite.node),
        ("DIND_TEST_INNER_IMAGE", image::INNER),
        ("DIND_TEST_PRELOAD", "/payload/preload"),
        ("DIND_BIN_DIR", "/payload/bin"),
    ];
    let slowness = std::env::var("DIND_TEST_SLOWNESS").ok();
    let slowness = slowness.iter().map(|factor| ("DIND_TEST_SLOWNESS", factor.as_str()));
    let lines: String =
        env.into_iter().chain(slowness).map(|(name, value)| format!("{name}={value}\n")).collect();
    fs::write(place.join("env"), lines)?;
    let archive = workspace.guests().join("payload.tar");
    cmd!(shell, "tar --create --file {archive} --directory {place} .").quiet().run()?;
    Ok(archive)
}

/// The guest has neither this machine's libraries nor its cargo.
fn build(workspace: &Workspace) -> Result<PathBuf> {
    let target = binaries::host_triple(workspace)?;
    let build = ["test", "--locked", "--no-run", "--package", "dind-tests", "--test", PROGRAM];
    let how = ["--target", &target, "--message-format", "json-render-diagnostics"];
    let cargo = workspace.cargo(&[&build[..], &how].concat());
    let messages = cargo.env("RUSTFLAGS", binaries::STATIC).read()?;
    executable(&messages, PROGRAM).ok_or_else(|| format!("cargo built no test program `{PROGRAM}`").into())
}

/// Cargo names the file it has made in one of its messages.
fn executable(messages: &str, program: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut made = messages.filter(|message| message["target"]["name"] == program);
    made.find_map(|message| Some(PathBuf::from(message["executable"].as_str()?)))
}

#[cfg(test)]
mod tests {
    use super::executable;
    use std::path::Path;

    #[test]
    fn the_program_is_found_among_cargo_s_messages() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"nix"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"vm"},"executable":"/t/vm-1234"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages, "vm").as_deref(), Some(Path::new("/t/vm-1234")));
        assert_eq!(executable(messages, "nix"), None);
    }
}
