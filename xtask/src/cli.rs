//! The commands and their options.

use crate::release;
use crate::suite::{self, Firewall, Tier};
use clap::{Parser, Subcommand};
use dind_bench::{Chart, Subject};
use dind_lab::arch::Arch;
use dind_lab::base::{Base, Release};
use dind_lab::guest::GuestArgs;
use dind_lab::product::image::Recipe;
use std::path::PathBuf;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Builds the image, runs nodes and suites")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Install what is missing without a question; nobody is asked where CI is set, or without a terminal
    #[arg(long, global = true)]
    pub(crate) yes: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build everything, start a node, run a container inside it and show what happened
    Up {
        #[command(flatten)]
        base: BaseArgs,
        /// Start a Mesos cluster instead: a master, two agents, and a first task
        #[arg(long)]
        mesos: bool,
    },
    /// Remove what `up` started, and check that nothing is left
    Down {
        /// Remove the private engine's build cache as well
        #[arg(long)]
        purge: bool,
    },
    /// Build the image dind:dev
    Image {
        #[command(flatten)]
        base: BaseArgs,
        /// Build dind-mesos:dev instead, a Mesos agent, with Mesos from package registries
        #[arg(long, conflicts_with_all = ["engine_archive", "tag"])]
        mesos: bool,
        /// Take the engine from an archive of static binaries, such as docker-29.7.0.tgz, in place of the distribution's; docker-buildx
        /// and docker-compose beside the file become plugins
        #[arg(long, value_name = "FILE", conflicts_with = "engine")]
        engine_archive: Option<PathBuf>,
        /// Name of the image [default: dind:dev]
        #[arg(long, value_name = "NAME")]
        tag: Option<String>,
        /// Build it for another processor: linux/amd64 or linux/arm64 [default: this machine's]
        #[arg(long, value_name = "PLATFORM", value_parser = Arch::of_platform, conflicts_with = "mesos")]
        platform: Option<Arch>,
    },
    /// Run the suites: the usual tiers, or the named ones
    Test {
        /// Tiers to run
        tiers: Vec<Tier>,
        #[command(flatten)]
        guests: GuestArgs,
        /// Suites of the tiers image and outside to run, in place of all. In the vm tier they run in the guest, in place of its own; with
        /// --userns, their nodes are in user namespaces
        #[arg(long = "suite", value_name = "NAME", value_delimiter = ',', value_parser = suite::suite_named)]
        suites: Vec<&'static str>,
        /// Write the outcome into the README's support table
        #[arg(long)]
        record: bool,
        #[command(flatten)]
        base: BaseArgs,
        #[command(flatten)]
        node: NodeArgs,
        /// For the test programs, such as a filter or --nocapture
        #[arg(last = true)]
        extra: Vec<String>,
    },
    /// Build the image and test it, or test an existing one
    TestImage {
        /// An image that the engine has
        #[arg(long, conflicts_with = "engine_archive")]
        image: Option<String>,
        #[command(flatten)]
        base: BaseArgs,
        #[command(flatten)]
        node: NodeArgs,
        /// For the test programs, such as a filter or --nocapture
        #[arg(last = true)]
        extra: Vec<String>,
    },
    /// Measure, and print ratios: all subjects, or the named ones
    Bench {
        /// What to measure
        subjects: Vec<Subject>,
        /// How often
        #[arg(long, default_value_t = 11)]
        rounds: usize,
        /// Measure for the charts in tests/bench/charts instead, and draw them: all, or the named ones
        #[arg(long, value_name = "CHART", num_args = 0.., require_equals = true, value_delimiter = ',', conflicts_with = "subjects")]
        chart: Option<Vec<Chart>>,
        /// Draw them again from the figures of the last run, and measure nothing
        #[arg(long, conflicts_with = "subjects")]
        draw: bool,
    },
    /// Print the version of an image: of this workspace, and of what is in the image
    Version(release::Target),
    /// Name an image after its version
    Tag(release::Target),
    /// Tag an image and push it
    Push(release::Target),
    /// Build the Mesos image from a clean checkout, tag it and push it
    Release(release::Target),
    /// Everything that continuous integration runs: lint, the tools for Arm, all tiers, and nodes in user namespaces
    Ci(BaseArgs),
    /// Check format, lints, documentation, schemas and house rules
    #[command(visible_alias = "tidy")]
    Lint,
    /// Make what a release consists of: binaries, man pages, completions, licences, bills of materials, an archive, a package of Debian, checksums
    Dist {
        /// The programs' target: x86_64-unknown-linux-gnu or aarch64-unknown-linux-gnu [default: this machine's]
        #[arg(long, value_name = "TARGET", value_parser = Arch::of_triple)]
        target: Option<Arch>,
        /// Make it a second time, from a copy of the checkout in another directory, and compare the bytes
        #[arg(long)]
        check: bool,
        /// Of programs that are there already, for the suite `dist`; in target/dist-test
        #[arg(long, value_name = "DIRECTORY", hide = true, conflicts_with_all = ["target", "check"])]
        of: Option<PathBuf>,
    },
    /// Write the JSON Schemas of the tools' documents
    Schema {
        /// Only compare them
        #[arg(long)]
        check: bool,
    },
    /// Start the engine that `up` and `test` would use, leave it running, and print the line that exports `DOCKER_HOST`
    Engine,
    /// The first process of the private engine's namespaces
    #[command(hide = true)]
    EngineInit,
}

impl Command {
    /// What a person may want to do after it.
    pub(crate) fn next(&self) -> Option<String> {
        let next = match self {
            Self::Image { mesos: true, .. } => "cargo xtask up --mesos starts a cluster of it",
            Self::Image { base, engine_archive, tag, platform, .. } => {
                let (base, from_archive) = (base.choice(), engine_archive.is_some());
                let recipe = Recipe { base, from_archive, tag: tag.as_deref(), arch: *platform };
                let name = recipe.name();
                return Some(match (recipe.arch().is_host(), base) {
                    (false, _) => {
                        format!("docker save {name} | ssh HOST docker load, to a machine with that processor")
                    }
                    // What `up` builds has this name and is this image.
                    (true, Base::Usual) if !from_archive && tag.is_none() => {
                        "cargo xtask up starts a node of it; cargo xtask test-image tests it".to_owned()
                    }
                    _ => format!("docker run --detach --name node --privileged {name}"),
                });
            }
            Self::Lint => "cargo xtask test unit stub",
            Self::Test { .. } | Self::TestImage { .. } | Self::Ci(_) => {
                "cargo xtask up starts a node to look at; cargo xtask bench measures it"
            }
            Self::Dist { target: Some(arch), .. } if !arch.is_host() => {
                return Some(format!("target/dist{} has a package and an archive for {arch}", arch.suffix()));
            }
            Self::Dist { .. } => "dpkg --install target/dist/*.deb, or unpack the archive beside it",
            _ => return None,
        };
        Some(next.to_owned())
    }
}

#[derive(clap::Args, Debug)]
pub(crate) struct BaseArgs {
    /// Base image: any Debian or Ubuntu image [default: ubuntu:24.04]
    #[arg(long, env = "BASE_IMAGE", value_name = "IMAGE")]
    base: Option<String>,
    /// Instead: the release of Debian that has this engine
    #[arg(long, value_name = "MAJOR", conflicts_with = "base")]
    engine: Option<Release>,
}

/// The engine of the nodes under test.
#[derive(clap::Args, Debug)]
pub(crate) struct NodeArgs {
    /// Test an image whose engine comes from an archive of static binaries, such as docker-29.7.0.tgz
    #[arg(long, value_name = "FILE", conflicts_with = "engine")]
    pub(crate) engine_archive: Option<PathBuf>,
    /// Give the nodes DIND_NET_FIREWALL: what engine 29 and later write their rules with
    #[arg(long, value_name = "BACKEND")]
    pub(crate) firewall: Option<Firewall>,
}

impl BaseArgs {
    /// The base that they choose.
    pub(crate) fn choice(&self) -> Base<'_> {
        match (self.engine, &self.base) {
            (Some(release), _) => Base::Release(release),
            (None, Some(image)) => Base::Image(image),
            (None, None) => Base::Usual,
        }
    }
}

/// Whether these are arguments of xtask; if not, why.
pub(crate) fn accepts(arguments: &[&str]) -> Result<(), String> {
    match Cli::try_parse_from(["cargo xtask"].iter().chain(arguments)) {
        Ok(_) => Ok(()),
        Err(help) if !help.use_stderr() => Ok(()),
        Err(error) => Err(error.to_string().lines().next().unwrap_or_default().to_owned()),
    }
}
