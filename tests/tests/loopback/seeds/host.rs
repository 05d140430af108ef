//! The fixture: a machine with a data root that is used as it is, or in an image, and seeds that `dind-storage seal` has made of
//! made-up data roots.

use super::contents::{Contents, unmount};
use crate::machine::{Machine, fails, succeeds};
use crate::strace::Strace;
use dind_tests::bin;
use dind_tests::store::{DataRoot, Layer};
use nix::mount::{MsFlags, mount};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A place that is root's alone all the way down, as seeds need it; /tmp is not. It is a file system in the test's own namespace.
const SAFE: &str = "/srv";

/// A machine with seeds.
pub(crate) struct Host {
    pub(crate) machine: Machine,
    /// `native` or `loop`.
    backing: &'static str,
}

/// A data root whose images become a seed.
pub(crate) struct Golden {
    pub(crate) data_root: DataRoot,
    pub(crate) base: Layer,
    pub(crate) app: Layer,
}

impl Host {
    /// One whose data root is used as it is.
    pub(crate) fn native() -> Self {
        let host = Self::new("native");
        fs::create_dir(host.root()).unwrap();
        mount(Some("tmpfs"), &host.root(), Some("tmpfs"), MsFlags::empty(), Some("mode=711")).unwrap();
        host
    }

    /// One whose data root is in a loop image.
    pub(crate) fn on_an_image() -> Self {
        Self::new("loop")
    }

    fn new(backing: &'static str) -> Self {
        let machine = Machine::new();
        mount(Some("tmpfs"), SAFE, Some("tmpfs"), MsFlags::empty(), Some("mode=755")).unwrap();
        Self { machine, backing }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.machine.root()
    }

    /// Makes the data root an empty one.
    pub(crate) fn renew(&self) {
        for point in self.binds().iter().rev().chain([&self.root()]) {
            unmount(point);
        }
        mount(Some("tmpfs"), &self.root(), Some("tmpfs"), MsFlags::empty(), Some("mode=711")).unwrap();
    }

    /// A path that is root's alone.
    pub(crate) fn safe(&self, name: &str) -> PathBuf {
        Path::new(SAFE).join(name)
    }

    /// A data root with `debian:12`, whose layer has two files, and `app:1` upon it, which adds one, hides one and changes one.
    pub(crate) fn golden(&self, name: &str) -> Golden {
        let data_root = DataRoot::new(&self.safe(name), name);
        let base = data_root.layer(None, "base", |diff| {
            fs::write(diff.join("base"), "of base").unwrap();
            fs::write(diff.join("hidden"), "of base").unwrap();
        });
        let app = data_root.layer(Some(&base), "app", |diff| {
            fs::write(diff.join("app"), "of app").unwrap();
            whiteout(&diff.join("hidden"));
        });
        data_root.image(&["debian:12"], Some(&base));
        let id = data_root.image(&["app:1", "app:latest"], Some(&app));
        data_root.image_metadata(&id, "lastUpdated", "2026-11-30T00:00:00Z");
        Golden { data_root, base, app }
    }

    /// Seals a data root; the seed replaces one of that name.
    pub(crate) fn seal(&self, golden: &Golden, name: &str, more: &[&str]) -> PathBuf {
        let seed = self.safe(name);
        let _ = fs::remove_dir_all(&seed);
        let _ = fs::remove_file(&seed);
        let mut command = Command::new(bin("dind-storage"));
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").arg("seal").args(more);
        succeeds(command.arg("--data-root").arg(&golden.data_root.path).arg("--to").arg(&seed));
        seed
    }

    /// `dind-storage VERB` with seeds, separated by colons.
    pub(crate) fn storage(&self, verb: &str, seeds: &[&Path]) -> Command {
        let mut command = self.machine.storage(verb);
        self.environment(&mut command, seeds);
        command
    }

    pub(crate) fn environment(&self, command: &mut Command, seeds: &[&Path]) {
        command.env("DIND_STORAGE_BACKING", self.backing);
        if self.backing == "native" {
            command.env_remove("VAR_LIB_DOCKER_SIZE").env_remove("DIND_STORAGE_IMAGE");
        }
        let seeds: Vec<_> = seeds.iter().map(|seed| seed.to_str().unwrap()).collect();
        command.env("DIND_STORAGE_SEED", seeds.join(":"));
    }

    pub(crate) fn apply(&self, seeds: &[&Path]) -> Value {
        succeeds(&mut self.storage("apply", seeds))
    }

    /// The same under strace, with what needs a seed that is gone set aside.
    pub(crate) fn traced(&self, strace: &Strace, seeds: &[&Path]) -> (Output, String) {
        strace.run(&self.machine, |command| {
            self.environment(command, seeds);
            command.env("DIND_STORAGE_SEED_MISSING", "set-aside");
        })
    }

    /// What the tool refuses leaves the data root as it is.
    pub(crate) fn refused(&self, seeds: &[&Path], code: &str, status: i32) -> Value {
        let before = self.tree();
        let planned = fails(&mut self.storage("plan", seeds), code, status);
        let document = fails(&mut self.storage("apply", seeds), code, status);
        assert_eq!(planned["error"]["message"], document["error"]["message"]);
        assert_eq!(self.tree(), before);
        document
    }

    pub(crate) fn release(&self) -> Value {
        succeeds(&mut self.storage("release", &[]))
    }

    /// The data root, as a made-up one: to add what is the user's own.
    pub(crate) fn data_root(&self, label: &str) -> DataRoot {
        DataRoot::existing(&self.root(), label)
    }

    /// Adds a container whose image has this layer on top; its files are in a directory of the driver's, too.
    pub(crate) fn container(&self, name: &str, top: &Layer) -> String {
        let id = dind_tests::store::sha256(name);
        let root = self.data_root("own");
        let make = |path: &Path| DirBuilder::new().recursive(true).mode(0o700).create(path).unwrap();
        let mounts = root.images().join("layerdb/mounts").join(&id);
        let own = root.driver().join(format!("{id}-own"));
        make(&mounts);
        make(&own.join("diff"));
        fs::write(own.join("diff/written"), name).unwrap();
        fs::write(own.join("lower"), root.lower_upon(top)).unwrap();
        fs::write(mounts.join("parent"), format!("sha256:{}", top.chain_id)).unwrap();
        fs::write(mounts.join("mount-id"), format!("{id}-own")).unwrap();
        make(&root.path.join("containers").join(&id));
        fs::write(
            root.path.join("containers").join(&id).join("config.v2.json"),
            serde_json::json!({"ID": id, "Name": format!("/{name}")}).to_string(),
        )
        .unwrap();
        id
    }

    /// What `docker rmi` does: names, image, and the layers that nothing else needs.
    pub(crate) fn remove_image(&self, id: &str) {
        Contents::read(&self.root()).remove(id);
    }

    /// Every file and directory of the data root but those that are not data, and what each is.
    pub(crate) fn tree(&self) -> BTreeMap<PathBuf, String> {
        let mut found = BTreeMap::new();
        if self.root().exists() {
            walk(&self.root(), &self.root(), &mut found);
        }
        found
    }

    /// What an engine would find, image by image: see [`Contents::check`].
    pub(crate) fn images(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        Contents::read(&self.root()).check(&self.machine.path("overlay"))
    }

    /// Mounts in the data root, apart from the data root itself.
    pub(crate) fn binds(&self) -> Vec<PathBuf> {
        let root = self.root();
        self.machine.mounts().into_iter().filter(|point| point.starts_with(&root) && *point != root).collect()
    }

    /// Nothing is mounted any more, no loop device is left, and nothing unfinished.
    pub(crate) fn assert_released(&self) {
        let own = if self.backing == "native" { vec!["root"] } else { Vec::new() };
        self.machine.assert_clean_below(&own);
    }
}

/// What hides a file of a lower layer.
pub(crate) fn whiteout(path: &Path) {
    use nix::sys::stat::{Mode, SFlag, mknod};
    mknod(path, SFlag::S_IFCHR, Mode::empty(), 0).unwrap();
}

/// The files that an image should show.
pub(crate) fn files(of: &[(&str, &str)]) -> BTreeMap<String, String> {
    of.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

/// The two images of [`Host::golden`].
pub(crate) fn golden_images() -> BTreeMap<String, BTreeMap<String, String>> {
    [
        ("app:1".to_owned(), files(&[("base", "of base"), ("app", "of app")])),
        ("debian:12".to_owned(), files(&[("base", "of base"), ("hidden", "of base")])),
    ]
    .into()
}

fn walk(root: &Path, path: &Path, found: &mut BTreeMap<PathBuf, String>) {
    for entry in fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        let inside = entry.path().strip_prefix(root).unwrap().to_owned();
        let not_data =
            [".dind-node", ".dind-reserve", "lost+found"].iter().any(|name| inside == Path::new(name));
        if not_data {
            continue;
        }
        let kind = entry.file_type().unwrap();
        let what = if kind.is_dir() {
            walk(root, &entry.path(), found);
            "directory".to_owned()
        } else if kind.is_symlink() {
            fs::read_link(entry.path()).unwrap().display().to_string()
        } else if kind.is_file() {
            String::from_utf8_lossy(&fs::read(entry.path()).unwrap()).into_owned()
        } else {
            "special".to_owned()
        };
        found.insert(inside, what);
    }
}

/// A symbolic link, for tests of what is unsafe.
pub(crate) fn link(to: &Path, path: &Path) {
    symlink(to, path).unwrap();
}
