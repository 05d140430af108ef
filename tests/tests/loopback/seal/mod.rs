//! `dind-storage seal` of made-up data roots. Every test has a directory of its own, and ends by looking for what was left.

mod copies;
mod crowd;
mod locks;
mod refusals;
mod sweep;

use crate::machine::{Machine, succeeds};
use crate::tree::{fill_base, fill_top};
use dind_tests::bin;
use dind_tests::store::{DataRoot, Layer};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// A data root with two images, one upon the other, and a third of its own.
struct Site {
    machine: Machine,
    root: DataRoot,
    base: Layer,
    top: Layer,
    own: Layer,
    /// The ids of `base:1`, `app:2` (and its other names), and of the one without a name.
    ids: [String; 3],
}

impl Site {
    fn new() -> Self {
        let machine = Machine::new();
        let root = DataRoot::new(&machine.root(), "one");
        let base = root.layer(None, "base", fill_base);
        let top = root.layer(Some(&base), "top", fill_top);
        let own = root.layer(None, "own", |diff| fs::write(diff.join("own"), "file").unwrap());
        let ids = [
            root.image(&["base:1"], Some(&base)),
            root.image(&["app:2", "registry:5000/team/app:2", APP_DIGEST], Some(&top)),
            root.image(&[], Some(&own)),
        ];
        root.image_metadata(&ids[0], "lastUpdated", "2026-11-29T00:00:00Z");
        root.image_metadata(&ids[1], "parent", &ids[0]);
        Self { machine, root, base, top, own, ids }
    }

    fn seed(&self) -> PathBuf {
        self.machine.path("seeds/one")
    }

    /// A seal, whose seed's directory exists.
    fn seal(&self, args: &[&str]) -> Command {
        fs::create_dir_all(self.machine.path("seeds")).unwrap();
        let mut command = Command::new(bin("dind-storage"));
        command.env_clear().arg("seal").arg("--data-root").arg(&self.root.path);
        command.arg("--to").arg(self.seed()).args(args);
        command
    }

    fn sealed(&self, args: &[&str]) -> Value {
        succeeds(&mut self.seal(args))
    }

    /// Nothing was made, and the data root is as it was.
    fn assert_untouched(&self) {
        assert_eq!(self.beside(), [""; 0]);
        self.machine.assert_clean();
    }

    /// What is in the seeds' directory.
    fn beside(&self) -> Vec<String> {
        let entries = fs::read_dir(self.machine.path("seeds")).into_iter().flatten();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

const APP_DIGEST: &str = "app@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
