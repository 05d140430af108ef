//! Where containers are compared, and which.

use dind_lab::Result;
use std::path::PathBuf;
use std::process::Command;

/// Who runs the inner engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `dockerd`, with the containerd that it starts itself.
    Bare,
    /// `dind-launch`.
    Node,
    /// The same, with certificates for TCP to be made first.
    NodeWithTls,
    /// A shell script with the steps of docker:dind's entrypoint.
    Steps,
}

/// Where the inner engine's data root lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DataRoot {
    /// On the image's volume.
    Volume,
    /// On the container's own overlay.
    Overlay,
}

impl DataRoot {
    /// Its path in the container.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Volume => "/var/lib/docker",
            Self::Overlay => "/srv/docker",
        }
    }
}

/// Where the containers run.
pub(crate) struct Site {
    /// The outer engine, as `DOCKER_HOST` has it.
    pub(crate) host: String,
    /// Its process.
    pub(crate) pid: String,
    /// The image that is measured.
    pub(crate) image: String,
    /// The directory with the archive of the inner containers' image.
    pub(crate) preload: PathBuf,
    /// Has a directory for each container, with the pipe and the inner engine's socket. Short: a socket's path is.
    pub(crate) directory: PathBuf,
}

impl Site {
    /// What the outer engine's client prints; its complaints are in the error.
    pub(crate) fn ask(&self, args: &[&str]) -> Result<String> {
        let output = Command::new("docker").env("DOCKER_HOST", &self.host).args(args).output()?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(format!("`docker {}` failed: {complaint}", args.join(" ")).into())
    }
}
