//! Data roots that lie in a directory of the test, the seeds that are made of them, and what is compared of both.

use dind_tests::cell::Storage;
use dind_tests::outer::{Ended, Node, SLEEP, inner_image};
use dind_tests::{bare_environment, bin, scratch, scratch_on_disk, unique};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tempfile::TempDir;

/// An image with a layer that hides a file of the one below.
pub(crate) const BASE: &str = "base:1";
/// Another upon it.
pub(crate) const APP: &str = "app:1";

/// The images that the usual seed has, by their names, sorted.
pub(crate) fn usual_images() -> Vec<String> {
    let mut names = vec![APP.to_owned(), BASE.to_owned(), inner_image()];
    names.sort();
    names
}

/// A data root in a directory: another node can go on with it, and it can be sealed. Declare it before its nodes.
pub(crate) struct DataRoot {
    directory: TempDir,
    image: String,
    storage: Storage,
}

impl DataRoot {
    pub(crate) fn new(storage: Storage) -> Self {
        Self { directory: scratch_on_disk(), image: unique("image"), storage }
    }

    pub(crate) fn native() -> Self {
        Self::new(Storage::Native)
    }

    fn options(&self) -> Vec<String> {
        let directory = self.directory.path().display();
        match self.storage {
            Storage::Native => words(&["--volume", &format!("{directory}:/var/lib/docker")]),
            Storage::Loop => words(&[
                "--volume",
                &format!("{directory}:/data"),
                "--env",
                &format!("DIND_STORAGE_IMAGE=/data/{}", self.image),
                "--env",
                "DIND_DATA_ROOT=/srv/docker",
                "--env",
                "VAR_LIB_DOCKER_SIZE=512MiB",
            ]),
        }
    }

    /// A node on it, which may not run yet or may be refused. It preloads nothing unless the options say so.
    pub(crate) fn start(&self, options: &[&[String]]) -> Node {
        let mut own = self.options();
        let has_seed = options.iter().copied().flatten().any(|word| word.starts_with("DIND_STORAGE_SEED="));
        if !has_seed && fs::read_dir(self.directory.path()).unwrap().next().is_none() {
            // A new data root has its images in containerd otherwise, from engine 29 on, and those cannot be sealed.
            own.extend(env("DIND_STORAGE_STORE=graph"));
        }
        let all: Vec<&str> =
            own.iter().chain(options.iter().copied().flatten()).map(String::as_str).collect();
        Node::start(&[&["--env", "DIND_PRELOAD="], &all[..]].concat(), SLEEP)
    }

    /// A node on it that runs.
    pub(crate) fn node(&self, options: &[&[String]]) -> Node {
        let node = self.start(options);
        node.until_running();
        node
    }

    /// A seed of what it has, or of some images. No node may have it.
    pub(crate) fn seal(&self, format: &str, images: &[&str]) -> Seed {
        let seed = Seed { directory: scratch_on_disk(), place: format!("/{}", unique("seed")) };
        let mut command = Command::new(bin("dind-storage"));
        bare_environment(&mut command).arg("seal").arg("--data-root").arg(self.directory.path());
        command.arg("--to").arg(seed.path()).args(["--format", format]);
        for image in images {
            command.args(["--images", image]);
        }
        Ended::from(command.output().unwrap()).ok();
        seed
    }

    /// What it takes up on disk.
    pub(crate) fn bytes(&self) -> u64 {
        let used =
            Command::new("du").args(["--summarize", "--block-size=1"]).arg(self.directory.path()).output();
        let used = Ended::from(used.unwrap()).ok();
        used.split_whitespace().next().unwrap().parse().unwrap()
    }
}

/// A seed. It is gone with its handle.
pub(crate) struct Seed {
    directory: TempDir,
    /// Its place in nodes, which is what the kernel says of a loop device that it is attached to.
    pub(crate) place: String,
}

impl Seed {
    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("seed")
    }

    /// What `docker run` needs for it.
    pub(crate) fn options(&self) -> Vec<String> {
        given(&[self])
    }

    /// What changes with whatever is written to it: content, owners, modes, extended attributes, and the times of all that.
    pub(crate) fn fingerprint(&self) -> String {
        let script = "tar --sort=name --xattrs --xattrs-include='*' \
                      --pax-option=delete=atime,exthdr.name=%d/PaxHeaders/%f --create --file=- seed | sha256sum";
        sh(script, self.directory.path())
    }
}

/// The usual seed in each format, and what the images were like in the data root that it was made of.
pub(crate) struct Usual {
    pub(crate) directory: Seed,
    pub(crate) erofs: Seed,
    pub(crate) squashfs: Seed,
    /// The digests of the files in an archive of [`APP`].
    pub(crate) archive: String,
    /// Images and their sizes, as `docker images` prints them.
    pub(crate) listed: String,
    /// Their total, as `docker system df` prints it.
    pub(crate) disk: String,
}

impl Usual {
    /// One for all tests that run at the same time.
    pub(crate) fn get() -> Arc<Self> {
        static SHARED: Mutex<Weak<Usual>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let made = Arc::new(Self::make());
            *shared = Arc::downgrade(&made);
            made
        })
    }

    fn make() -> Self {
        let root = DataRoot::native();
        let node = root.node(&[&preloading()]);
        build_usual(&node);
        let (archive, listed, disk) = (archive_of(&node, APP), listed(&node), disk_of_images(&node));
        assert_eq!(node.stop().0, 143, "{}", node.log());
        drop(node);
        let [directory, erofs, squashfs] = ["dir", "erofs", "squashfs"].map(|format| root.seal(format, &[]));
        Self { directory, erofs, squashfs, archive, listed, disk }
    }
}

/// What `docker run` needs for seeds, the first before the others.
pub(crate) fn given(seeds: &[&Seed]) -> Vec<String> {
    let volume = |seed: &&Seed| format!("{}:{}:ro", seed.path().display(), seed.place);
    let volumes = seeds.iter().flat_map(|seed| ["--volume".to_owned(), volume(seed)]);
    let places: Vec<&str> = seeds.iter().map(|seed| seed.place.as_str()).collect();
    volumes.chain(env(&format!("DIND_STORAGE_SEED={}", places.join(":")))).collect()
}

/// For a node that is to have the inner image by itself.
pub(crate) fn preloading() -> Vec<String> {
    words(&["--env", "DIND_PRELOAD=/preload"])
}

/// A variable of a node.
pub(crate) fn env(text: &str) -> Vec<String> {
    words(&["--env", text])
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().copied().map(str::to_owned).collect()
}

/// Builds the images of the usual seed in a node that has the inner image.
pub(crate) fn build_usual(node: &Node) {
    build(node, BASE, &format!("FROM {}\nRUN echo base >/base && rm /bin/vi", inner_image()));
    build(node, APP, &format!("FROM {BASE}\nRUN echo app >/app && mkdir /bin/vi.d"));
}

/// Builds an image.
pub(crate) fn build(node: &Node, name: &str, recipe: &str) {
    let context = scratch();
    fs::write(context.path().join("Dockerfile"), recipe).unwrap();
    node.inner(&["build", "--quiet", "--tag", name, context.path().to_str().unwrap()]);
}

/// What a command prints in a container of an image, which is removed again.
pub(crate) fn run(node: &Node, image: &str, script: &str) -> String {
    node.inner(&["run", "--rm", "--network", "none", image, "sh", "-c", script])
}

/// The names of the images, sorted.
pub(crate) fn names(node: &Node) -> Vec<String> {
    let shown = node.inner(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    let mut names: Vec<_> = shown.lines().map(str::to_owned).collect();
    names.sort();
    names
}

/// Images, their ids, and their sizes.
pub(crate) fn listed(node: &Node) -> String {
    let shown =
        node.inner(&["images", "--no-trunc", "--format", "{{.ID}} {{.Repository}}:{{.Tag}} {{.Size}}"]);
    let mut lines: Vec<_> = shown.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// How many images there are, and their size together.
pub(crate) fn disk_of_images(node: &Node) -> String {
    let shown = node.inner(&["system", "df", "--format", "{{.Type}} {{.TotalCount}} {{.Size}}"]);
    shown.lines().find(|line| line.starts_with("Images")).unwrap().to_owned()
}

/// The digests of all files in an image's archive.
pub(crate) fn archive_of(node: &Node, image: &str) -> String {
    let directory = scratch();
    let archive = directory.path().join("archive.tar");
    node.inner(&["save", "--output", archive.to_str().unwrap(), image]);
    let script = "mkdir content && tar --extract --file archive.tar --directory content && cd content && \
                  find . -type f -print0 | LC_ALL=C sort --zero-terminated | xargs --null sha256sum";
    sh(script, directory.path())
}

/// Whether a node has warned.
pub(crate) fn has_warned(node: &Node, code: &str) -> bool {
    node.record()["warnings"].as_array().unwrap().iter().any(|warning| warning["code"] == code)
}

/// What dind-storage says of the node's seeds now.
pub(crate) fn seeds(node: &Node) -> Value {
    let plan = node.exec(&["dind-storage", "plan"]).ok();
    serde_json::from_str::<Value>(&plan).unwrap()["result"]["seeds"].take()
}

fn sh(script: &str, directory: &Path) -> String {
    let output = Command::new("bash").args(["-o", "pipefail", "-ec", script]).current_dir(directory).output();
    Ended::from(output.unwrap()).ok()
}
