//! The steps of `tls`: their names, and how each is made. The first ones make files in memory, the last one puts them in place.

use super::certificate::Certificate;
use super::facts::Facts;
use super::install::{self, Files};
use super::issue::{self, Role};
use super::layout::{CA_CERT, CA_KEY};
use super::name::Name;
use crate::fault;
use dind_contract::Fault;
use dind_contract::step::{Applied, Apply, Step, Undo};
use rcgen::KeyPair;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TlsStep {
    pub change: Change,
    /// Whether there is nothing to do.
    pub holds: bool,
}

/// What is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The files of an earlier apply take their places.
    FinishInstall(PathBuf),
    /// A directory for everything.
    MakeDirectory(PathBuf),
    /// A CA; or a new certificate for the key that it has.
    MakeCa { new_key: bool, name: String, path: PathBuf },
    /// A certificate for a server or a client; with a new key, unless there is one.
    MakeLeaf { role: Role, new_key: bool, names: Vec<Name>, path: PathBuf },
    /// What was made takes its place.
    Install(PathBuf),
}

impl TlsStep {
    pub(super) fn new(change: Change) -> Self {
        Self { change, holds: false }
    }

    /// The same step; there is nothing to do where `holds`.
    pub(super) fn unless(self, holds: bool) -> Self {
        Self { holds, ..self }
    }
}

impl Step for TlsStep {
    fn op(&self) -> &'static str {
        match &self.change {
            Change::FinishInstall(_) => "finish-install",
            Change::MakeDirectory(_) => "make-directory",
            Change::MakeCa { new_key: true, .. } => "make-ca",
            Change::MakeCa { .. } => "renew-ca",
            Change::MakeLeaf { new_key: true, .. } => "make-certificate",
            Change::MakeLeaf { .. } => "renew-certificate",
            Change::Install(_) => "install-certificates",
        }
    }

    fn target(&self) -> String {
        match &self.change {
            Change::FinishInstall(path)
            | Change::MakeDirectory(path)
            | Change::Install(path)
            | Change::MakeCa { path, .. }
            | Change::MakeLeaf { path, .. } => path.display().to_string(),
        }
    }

    fn holds(&self) -> bool {
        self.holds
    }
}

/// What the steps hand on.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// The facts, once they are read.
    pub facts: Facts,
    /// The directory without symbolic links in its path.
    pub place: PathBuf,
    /// The new files.
    pub files: Files,
}

impl Work {
    /// A file as it will be.
    pub(super) fn bytes(&self, file: &str) -> &[u8] {
        let new = self.files.get(file).map(Vec::as_slice);
        new.or_else(|| self.facts.bytes(file)).unwrap_or_default()
    }

    pub(super) fn certificate(&self, file: &str) -> Result<Certificate, String> {
        Certificate::parse(self.bytes(file))
    }

    /// The key that is there, or a new one.
    fn key(&mut self, file: &'static str, new: bool) -> Result<KeyPair, String> {
        if !new {
            return super::certificate::parse_key(self.bytes(file));
        }
        let key = KeyPair::generate().map_err(|error| error.to_string())?;
        self.files.insert(file, key.serialize_pem().into_bytes());
        Ok(key)
    }

    fn make_ca(&mut self, new_key: bool, name: &str) -> Result<(), String> {
        let key = self.key(CA_KEY, new_key)?;
        let pem = issue::ca(&key, name, self.facts.now).map_err(|error| error.to_string())?;
        self.files.insert(CA_CERT, pem.into_bytes());
        Ok(())
    }

    fn make_leaf(&mut self, role: Role, new_key: bool, names: &[Name]) -> Result<(), String> {
        let ca = self.certificate(CA_CERT)?;
        let ca_key = self.key(CA_KEY, false)?;
        let key = self.key(role.key(), new_key)?;
        let pem = issue::leaf(role, &key, names, (&ca, ca_key), self.facts.now)
            .map_err(|error| format!("{error}; the CA is `{}`", ca.common_name))?;
        self.files.insert(role.certificate(), pem.into_bytes());
        let ca = self.bytes(CA_CERT).to_vec();
        self.files.insert(role.ca(), ca);
        Ok(())
    }
}

impl Apply for TlsStep {
    type Context = Work;

    fn apply(&self, work: &mut Work) -> Result<Applied<Work>, Fault> {
        let not_signed = |path: &Path, cause: String| {
            let hint = "remove ca/ in the directory, and a CA is made; or put in one whose name holds no attribute twice";
            fault::TLS_CA_UNUSABLE.cannot("sign a certificate for", path.display(), cause).hint(hint)
        };
        match &self.change {
            Change::MakeDirectory(path) => {
                let missing = path.ancestors().take_while(|path| !path.exists()).last().map(Path::to_owned);
                let make = || {
                    fs::create_dir_all(path)
                        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o755)))
                };
                make().map_err(|error| not_written("make", path, &error))?;
                let path = path.clone();
                return Ok(Applied::undo(move |_| missing.is_none_or(|first| remove_empty(&path, &first))));
            }
            Change::FinishInstall(path) => {
                install::finish_interrupted(&work.place)
                    .map_err(|error| not_written("write", path, &error))?;
            }
            Change::MakeCa { new_key, name, path } => {
                work.make_ca(*new_key, name).map_err(|cause| not_signed(path, cause))?;
            }
            Change::MakeLeaf { role, new_key, names, path } => {
                work.make_leaf(*role, *new_key, names).map_err(|cause| not_signed(path, cause))?;
            }
            Change::Install(path) => {
                install::install(&work.place, &work.files)
                    .map_err(|error| not_written("write", path, &error))?;
            }
        }
        // What was made in memory is gone with the process; what is in place is better than what was there.
        Ok(Applied::Done(Undo::Keep))
    }
}

/// Removes the directories that were made, from the last to the first.
fn remove_empty(last: &Path, first: &Path) -> bool {
    last.ancestors().take_while(|path| path.starts_with(first)).all(|path| fs::remove_dir(path).is_ok())
}

pub(super) fn not_written(verb: &str, path: &Path, error: &io::Error) -> Fault {
    let hint = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "free space or inodes on the file system of DOCKER_TLS_CERTDIR"
        }
        _ => {
            "DOCKER_TLS_CERTDIR has to be a directory that root can write to, or one with certificates in it that fit"
        }
    };
    fault::TLS_NOT_WRITTEN.cannot(verb, path.display(), error).hint(hint)
}
