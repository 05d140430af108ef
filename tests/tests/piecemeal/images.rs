//! Images with little in them, and those of the shell entrypoints.

use dind_tests::outer::{docker, image, inner_image};
use dind_tests::{copy_of, scratch, unique};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What a tool is alone in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing else: no shell, no libraries, no /etc.
    Scratch,
    /// A static busybox.
    Busybox,
    /// A busybox in the layout of Alpine: apk, and none of glibc.
    Alpine,
}

impl Kind {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Scratch, Self::Busybox, Self::Alpine];

    /// What a hint says here of a program that is missing, by its package in Debian and in Alpine.
    pub(crate) fn hint(self, program: &str, debian: &str, alpine: &str) -> String {
        match self {
            Self::Alpine => format!("install it in the image: apk add {alpine}"),
            _ => format!(
                "this image has no apt-get and no apk: copy `{program}` into it, or base it on one that can install {debian}"
            ),
        }
    }
}

/// An image, removed when its handle is dropped.
pub(crate) struct Image(pub(crate) String);

impl Image {
    /// One with a single tool, which is its entrypoint.
    pub(crate) fn alone(kind: Kind, tool: &str) -> Self {
        Self::of(kind, &[tool])
    }

    /// One with these tools; the first is its entrypoint.
    pub(crate) fn of(kind: Kind, tools: &[&str]) -> Self {
        let directory = scratch();
        let from = match kind {
            Kind::Scratch => "scratch".to_owned(),
            Kind::Busybox | Kind::Alpine => inner_image(),
        };
        let mut recipe = format!("FROM {from}\nENTRYPOINT [\"/{}\"]\n", tools[0]);
        for tool in tools {
            let program = copy_of(tool, directory.path());
            recipe += &format!("COPY {} /{tool}\n", program.file_name().unwrap().display());
        }
        if kind == Kind::Alpine {
            alpine(directory.path());
            recipe += "COPY root/ /\n";
        }
        fs::write(directory.path().join("Dockerfile"), recipe).unwrap();
        Self::build(directory.path(), &[])
    }

    /// One of the shell entrypoints, by the Dockerfile that is beside them.
    pub(crate) fn entrypoint(script: &str) -> Self {
        let directory = scratch();
        let mut recipe = fs::read_to_string(examples().join("Dockerfile")).unwrap();
        for (was, is) in [("dind:dev", image()), ("/flags.sh", format!("/{script}"))] {
            assert!(recipe.contains(was), "{recipe}");
            recipe = recipe.replace(was, &is);
        }
        fs::write(directory.path().join("Dockerfile"), recipe).unwrap();
        for entry in fs::read_dir(examples()).unwrap().flatten() {
            if entry.path().extension().is_some_and(|extension| extension == "sh") {
                fs::copy(entry.path(), directory.path().join(entry.file_name())).unwrap();
            }
        }
        Self::build(directory.path(), &[])
    }

    fn build(directory: &Path, options: &[&str]) -> Self {
        let image = Self(unique("piecemeal"));
        let own = ["build", "--quiet", "--tag", &image.0];
        docker(&[&own[..], options, &[directory.to_str().unwrap()]].concat()).ok();
        image
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = docker(&["rmi", "--force", &self.0]);
    }
}

/// Where the scripts are.
pub(crate) fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../dind-launch/examples/entrypoint")
}

/// The files by which an image of Alpine is known.
fn alpine(directory: &Path) {
    let root = directory.join("root");
    for (name, text) in [
        ("sbin/apk", "#!/bin/sh\necho no network >&2\nexit 1\n"),
        ("etc/alpine-release", "3.22.0\n"),
        ("etc/os-release", "ID=alpine\nVERSION_ID=3.22.0\n"),
        ("lib/apk/db/installed", ""),
    ] {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}
