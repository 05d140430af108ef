//! An archive of Docker's static binaries (download.docker.com/linux/static), unpacked for the image.

use crate::arch::{self, Arch};
use crate::workspace::Workspace;
use crate::{Result, progress};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use xshell::cmd;

/// What a node runs of the engine.
const PROGRAMS: [&str; 7] =
    ["containerd", "containerd-shim-runc-v2", "docker", "docker-init", "docker-proxy", "dockerd", "runc"];
/// Plugins of the docker program, which Docker publishes one by one. They are taken from beside the archive.
const PLUGINS: [&str; 2] = ["docker-buildx", "docker-compose"];
/// The archive's only directory.
const DIRECTORY: &str = "docker";

/// What the Dockerfile copies to /usr/local where the engine comes from packages: nothing.
pub(super) fn none(workspace: &Workspace) -> Result<()> {
    Ok(fs::create_dir_all(workspace.image().join("engine-packages"))?)
}

/// Unpacks an archive to where the Dockerfile copies it from, with the plugins beside it.
pub fn unpack(workspace: &Workspace, archive: &Path, arch: Arch) -> Result<()> {
    let directory = workspace.image().join("engine-archive");
    let fresh = workspace.image().join("engine-archive.new");
    if fresh.exists() {
        fs::remove_dir_all(&fresh)?;
    }
    fs::create_dir_all(&fresh)?;
    // xtask changes to the workspace; the file is named from where the user is.
    let archive = fs::canonicalize(archive).map_err(|error| unusable(archive, error))?;
    let shell = &workspace.shell;
    cmd!(shell, "tar --extract --no-same-owner --file {archive} --directory {fresh}")
        .quiet()
        .ignore_stdout()
        .run()
        .map_err(|error| unusable(&archive, error))?;
    check(&archive, &fresh.join(DIRECTORY))?;
    check_processor(&archive, &fresh.join(DIRECTORY).join("dockerd"), arch)?;
    fs::rename(fresh.join(DIRECTORY), fresh.join("bin"))?;
    let beside = archive.parent().unwrap_or(Path::new("/"));
    let target = fresh.join("libexec/docker/cli-plugins");
    for name in PLUGINS.into_iter().filter(|name| beside.join(name).is_file()) {
        progress::note(&format!("{name} beside {} becomes a plugin", archive.display()));
        fs::create_dir_all(&target)?;
        fs::copy(beside.join(name), target.join(name))?;
        // A download is not executable.
        fs::set_permissions(target.join(name), fs::Permissions::from_mode(0o755))?;
    }
    if directory.exists() {
        fs::remove_dir_all(&directory)?;
    }
    Ok(fs::rename(&fresh, &directory)?)
}

fn check(archive: &Path, directory: &Path) -> Result<()> {
    let missing: Vec<_> = PROGRAMS.into_iter().filter(|name| !directory.join(name).is_file()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = missing.iter().map(|name| format!("{DIRECTORY}/{name}")).collect();
    Err(format!(
        "cannot use `{}`: it has no {}\nhint: give an archive of https://download.docker.com/linux/static/stable",
        archive.display(),
        names.join(", ")
    )
    .into())
}

/// Its engine must run where the image does; a script in its place runs anywhere.
fn check_processor(archive: &Path, engine: &Path, arch: Arch) -> Result<()> {
    match arch::of_program(engine)? {
        Some(number) if number != arch.elf() => Err(format!(
            "cannot use `{}`: its programs are not for {arch}\nhint: give the archive of \
             https://download.docker.com/linux/static/stable/{}, or another --platform",
            archive.display(),
            arch.machine()
        )
        .into()),
        _ => Ok(()),
    }
}

fn unusable(archive: &Path, error: impl std::fmt::Display) -> String {
    format!("cannot unpack `{}`: {error}", archive.display())
}

#[cfg(test)]
mod tests {
    use super::{check, check_processor};
    use crate::arch::Arch;
    use std::fs;
    use std::path::Path;

    #[test]
    fn an_archive_without_a_program_is_refused_by_its_name() {
        let directory = std::env::temp_dir().join(format!("dind-test-{}-archive", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        for name in super::PROGRAMS {
            let refused = check(Path::new("/x.tgz"), &directory).unwrap_err().to_string();
            assert!(refused.contains(&format!("docker/{name}")), "{refused}");
            fs::write(directory.join(name), "").unwrap();
        }
        check(Path::new("/x.tgz"), &directory).unwrap();
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn an_archive_for_another_processor_is_refused() {
        let (archive, own) = (Path::new("/x.tgz"), std::env::current_exe().unwrap());
        check_processor(archive, &own, Arch::HOST).unwrap();
        let other = if Arch::HOST == Arch::X86_64 { Arch::Aarch64 } else { Arch::X86_64 };
        let refused = check_processor(archive, &own, other).unwrap_err().to_string();
        assert!(refused.contains(&format!("are not for {other}")), "{refused}");
    }
}
