//! The fixture: a directory for certificates, plain or with a file system of its own mounted on it.

use dind_tests::{bare_environment, bin, scratch};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Where a file system is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nowhere.
    Plain,
    /// On the directory: a volume at /certs.
    Mounted,
    /// On `client` in it, as GitLab shares it.
    ClientMounted,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Plain, Self::Mounted, Self::ClientMounted];
}

/// A directory for certificates, in a mount namespace of the test's thread.
pub(crate) struct Directory {
    parent: tempfile::TempDir,
    kind: Kind,
}

impl Directory {
    pub(crate) fn new(kind: Kind) -> Self {
        assert!(nix::unistd::geteuid().is_root(), "these tests need root: run `cargo xtask test`");
        unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS).unwrap();
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
        let directory = Self { parent: scratch(), kind };
        if let Some(point) = directory.mount_point() {
            fs::create_dir_all(&point).unwrap();
            mount(Some("tmpfs"), &point, Some("tmpfs"), MsFlags::empty(), Some("mode=0755")).unwrap();
        }
        directory
    }

    fn mount_point(&self) -> Option<PathBuf> {
        match self.kind {
            Kind::Plain => None,
            Kind::Mounted => Some(self.path()),
            Kind::ClientMounted => Some(self.path().join("client")),
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.parent.path().join("certs")
    }

    pub(crate) fn outside(&self, name: &str) -> PathBuf {
        self.parent.path().join(name)
    }

    /// `dind-launch tls VERB` through other words, with more names for the server.
    pub(crate) fn through(&self, words: &[&str], verb: &str, san: &str) -> Command {
        let launcher = bin("dind-launch");
        let all = [words, &[launcher.to_str().unwrap(), "tls", verb]].concat();
        let mut command = Command::new(all[0]);
        bare_environment(command.args(&all[1..]));
        command.env("DOCKER_TLS_CERTDIR", self.path()).env("DOCKER_TLS_SAN", san);
        command
    }

    pub(crate) fn run(&self, verb: &str, san: &str) -> (i32, Value) {
        outcome(&self.through(&[], verb, san).output().unwrap())
    }

    pub(crate) fn apply(&self, san: &str) -> Value {
        let (status, document) = self.run("apply", san);
        assert_eq!(status, 0, "{document}");
        document
    }

    /// Whether `plan` finds nothing to do: all that is there fits together.
    pub(crate) fn is_complete(&self, san: &str) -> bool {
        let (status, document) = self.run("plan", san);
        status == 0 && document["steps"].as_array().unwrap().iter().all(|step| step["state"] == "skipped")
    }

    /// The content of every file, and of what should not be there.
    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        collect(&self.path(), "", &mut files);
        files
    }

    /// Names beside the directory that only an apply in progress has.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let beside = fs::read_dir(self.parent.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let beside = beside.map(|name| name.into_string().unwrap()).filter(|name| name.contains("dind-tls"));
        beside.chain(self.files().into_keys().filter(|name| name.contains("dind-tls"))).collect()
    }

    /// No key can be read by others, wherever it lies.
    pub(crate) fn assert_private(&self) {
        let mut secrets = Vec::new();
        visible_secrets(self.parent.path(), &mut secrets);
        assert!(secrets.is_empty(), "others may read {secrets:?}");
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Some(point) = self.mount_point() {
            let _ = umount2(&point, MntFlags::MNT_DETACH);
        }
    }
}

fn collect(directory: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            collect(&entry.path(), &format!("{name}/"), files);
        } else {
            files.insert(name, fs::read(entry.path()).unwrap());
        }
    }
}

/// Private keys of a CA or a server that others may read.
fn visible_secrets(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            visible_secrets(&path, found);
        } else if path.ends_with("ca/key.pem") || path.ends_with("server/key.pem") {
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            found.extend((mode & 0o077 != 0).then_some(path));
        }
    }
}

/// The exit status and the document.
pub(crate) fn outcome(output: &Output) -> (i32, Value) {
    let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    (output.status.code().unwrap(), document)
}
