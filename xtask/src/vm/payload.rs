//! What changes from run to run: the test programs, linked statically, with what they need in their environment.

use crate::workspace::Workspace;
use crate::{Result, binaries, image, progress};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use xshell::cmd;

/// Builds the programs and packs them into an archive that the guest reads from a disk.
pub(super) fn pack(
    workspace: &Workspace,
    programs: &[&str],
    node: &str,
    extra: &[String],
) -> Result<PathBuf> {
    let place = workspace.vm().join("payload");
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    fs::create_dir_all(place.join("tests"))?;
    progress::heading("build the guest's test programs");
    for program in programs {
        fs::copy(build(workspace, program)?, place.join("tests").join(program))?;
    }
    let shell = &workspace.shell;
    let preload = workspace.preload();
    cmd!(shell, "cp --recursive {preload} {place}/preload").quiet().run()?;
    let env = [
        ("DIND_TEST_DOCKER_HOST", "unix:///var/run/docker.sock"),
        ("DIND_TEST_ENGINE_PID", "1"),
        ("DIND_TEST_IMAGE", node),
        ("DIND_TEST_INNER_IMAGE", image::INNER),
        ("DIND_TEST_PRELOAD", "/payload/preload"),
    ];
    let lines: String = env.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    fs::write(place.join("env"), lines)?;
    fs::write(place.join("args"), extra.iter().map(|arg| format!("{arg}\n")).collect::<String>())?;
    let archive = workspace.vm().join("payload.tar");
    cmd!(shell, "tar --create --file {archive} --directory {place} .").quiet().run()?;
    Ok(archive)
}

/// The guest has neither this machine's libraries nor its cargo.
fn build(workspace: &Workspace, program: &str) -> Result<PathBuf> {
    let target = binaries::host_triple(workspace)?;
    let build = ["test", "--locked", "--no-run", "--package", "dind-tests", "--test", program];
    let how = ["--target", &target, "--message-format", "json-render-diagnostics"];
    let cargo = workspace.cargo(&[&build[..], &how].concat());
    let messages = cargo.env("RUSTFLAGS", binaries::STATIC).read()?;
    executable(&messages, program).ok_or_else(|| format!("cargo built no test program `{program}`").into())
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
