//! The pages that people read: every Markdown file of the checkout, and the fenced blocks in each.
//!
//! `block`: the one parser of fenced blocks. `shown`: whether what a page shows as output is what came. The suite `readme` runs the blocks; other
//! suites take theirs by [`Page::block`], word for word.

mod block;
mod shown;

pub use block::{Block, Page};
pub use shown::compare;

/// A page by its path in the checkout, and its text: a guest has no checkout.
macro_rules! pages {
    ($($path:literal),+ $(,)?) => {
        /// All pages. A file that is missing here fails the suite `readme`.
        pub const PAGES: &[(&str, &str)] = &[$(($path, include_str!(concat!("../../../", $path)))),+];
    };
}

pages![
    "README.md",
    "dind-launch/README.md",
    "dind-launch/contract/README.md",
    "dind-launch/docs/entrypoint.md",
    "dind-launch/docs/mesos.md",
    "dind-launch/docs/run-flags.md",
    "dind-launch/docs/tcp.md",
    "dind-launch/examples/actions-runner/README.md",
    "dind-launch/examples/clients/README.md",
    "dind-launch/examples/compose-service/README.md",
    "dind-launch/examples/compose/README.md",
    "dind-launch/examples/devcontainer/README.md",
    "dind-launch/examples/entrypoint/README.md",
    "dind-launch/examples/gitlab/README.md",
    "dind-launch/examples/jenkins/README.md",
    "dind-launch/examples/kubernetes-sidecar/README.md",
    "dind-launch/examples/kubernetes/README.md",
    "dind-launch/examples/stage/README.md",
    "dind-launch/system/README.md",
    "dind-net/README.md",
    "dind-reaper/README.md",
    "dind-storage/README.md",
    "tests/README.md",
    "tests/SUPPORT.md",
    "tests/mesos/README.md",
    "xtask/README.md",
];
