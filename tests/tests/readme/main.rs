//! What every page shows is run, and what it shows as output is compared.
//!
//! A page is one shell: its blocks run in their order, in a directory that has the checkout's directories, with the tools on PATH and the outer engine behind
//! `docker`; that of an example is a copy of its directory, too. Names of containers, networks, volumes and images are ours, and removed at the end; nothing else differs from what a reader runs. Words behind
//! the fence, which no reader sees, say what is different:
//!
//! | | |
//! |---|---|
//! | `in:NAME` | runs in that container, by `docker exec`; the page says so in words |
//! | `as:FILE` | is put into a file, which the next blocks use |
//! | `is:FILE` | is in that file of the checkout, which another suite runs |
//! | `xtask` | commands of xtask, which cannot run below itself: the lint reads them with xtask's own parser of the command line |
//!
//! `elsewhere`: the blocks that another suite runs, and which. `coverage`: there are no others.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod coverage;
mod elsewhere;
mod names;
mod script;

use dind_tests::pages::Page;
use std::sync::Mutex;

/// The pages whose networks have addresses of their own: one after the other.
static NETWORKS: Mutex<()> = Mutex::new(());

/// A test for each page that is run.
macro_rules! run {
    ($($test:ident: $path:literal),+ $(,)?) => {
        /// The pages that are run here.
        const RUN: &[&str] = &[$($path),+];
        $(
            #[test]
            fn $test() {
                let page = Page::of($path);
                let _alone = page.text.contains("--subnet ").then(|| NETWORKS.lock().unwrap_or_else(|broken| broken.into_inner()));
                script::run(&page);
            }
        )+
    };
}

run! {
    the_root_s: "README.md",
    of_dind_launch: "dind-launch/README.md",
    of_dind_net: "dind-net/README.md",
    of_dind_reaper: "dind-reaper/README.md",
    of_dind_storage: "dind-storage/README.md",
    about_shell_entrypoints: "dind-launch/docs/entrypoint.md",
    about_the_sets_of_flags: "dind-launch/docs/run-flags.md",
    about_the_engine_on_tcp: "dind-launch/docs/tcp.md",
    of_scripts: "dind-launch/examples/entrypoint/README.md",
    of_a_stage: "dind-launch/examples/stage/README.md",
    of_xtask: "xtask/README.md",
}
