//! Builds the image, runs nodes and suites: `cargo xtask help`.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod ahead;
mod base;
mod bench;
mod binaries;
mod cluster;
mod debian;
mod dist;
mod engine;
mod image;
mod leftovers;
mod lint;
mod mesos;
mod mesos_up;
mod node;
mod progress;
mod release;
mod runtime;
mod setup;
mod suite;
mod support;
mod vm;
mod workspace;

use base::Base;
use clap::{CommandFactory, Parser, Subcommand};
use debian::Release;
use engine::Engine;
use std::error::Error;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use suite::{Options, Tier};
use workspace::Workspace;

/// What went wrong, for people.
type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Builds the image, runs nodes and suites")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
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
        #[arg(long)]
        mesos: bool,
    },
    /// Run the suites: the usual tiers, or the named ones
    Test {
        /// Tiers to run
        tiers: Vec<Tier>,
        #[command(flatten)]
        guests: vm::GuestArgs,
        /// Write the outcome into the README's support table
        #[arg(long)]
        record: bool,
        #[command(flatten)]
        base: BaseArgs,
        /// For the test programs, such as a filter or --nocapture
        #[arg(last = true)]
        extra: Vec<String>,
    },
    /// Build the image and test it, or test an existing one
    TestImage {
        /// An image that the engine has
        #[arg(long)]
        image: Option<String>,
        #[command(flatten)]
        base: BaseArgs,
        /// For the test programs, such as a filter or --nocapture
        #[arg(last = true)]
        extra: Vec<String>,
    },
    /// Measure, and print ratios: all subjects, or the named ones
    Bench {
        /// What to measure
        subjects: Vec<bench::Subject>,
        /// How often
        #[arg(long, default_value_t = 11)]
        rounds: usize,
    },
    /// Print the version of an image: of this workspace, and of what is in the image
    Version(release::Target),
    /// Name an image after its version
    Tag(release::Target),
    /// Tag an image and push it
    Push(release::Target),
    /// Build the Mesos image from a clean checkout, tag it and push it
    Release(release::Target),
    /// What continuous integration runs: lint, then test
    Ci(BaseArgs),
    /// Check format, lints, documentation, schemas and house rules
    #[command(visible_alias = "tidy")]
    Lint,
    /// Make what a release consists of: binaries, man pages, completions, bill of materials, checksums
    Dist,
    /// Write the JSON Schemas of the tools' documents
    Schema {
        /// Only compare them
        #[arg(long)]
        check: bool,
    },
    /// Start the engine that `up` and `test` would use, leave it running, and print its environment
    #[command(hide = true)]
    Engine,
    /// The first process of the private engine's namespaces
    #[command(hide = true)]
    EngineInit,
}

#[derive(clap::Args, Debug)]
struct BaseArgs {
    /// Base image: any Debian or Ubuntu image [default: ubuntu:24.04]
    #[arg(long, env = "BASE_IMAGE", value_name = "IMAGE")]
    base: Option<String>,
    /// Instead: the release of Debian that has this engine
    #[arg(long, value_name = "MAJOR", conflicts_with = "base")]
    engine: Option<Release>,
}

impl BaseArgs {
    fn choice(&self) -> Base<'_> {
        match (self.engine, &self.base) {
            (Some(release), _) => Base::Release(release),
            (None, Some(image)) => Base::Image(image),
            (None, None) => Base::Usual,
        }
    }
}

fn main() -> ExitCode {
    let mut args = std::env::args();
    let own_name = args.next().unwrap_or_default();
    let done = if own_name.ends_with(runtime::NAME) {
        runtime::run(&args.collect::<Vec<_>>())
    } else {
        run(Cli::parse().command)
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    if !matches!(command, Command::Lint | Command::Schema { .. }) {
        setup::become_root()?;
    }
    let workspace = Workspace::open()?;
    match command {
        Command::Up { base, mesos: true } => mesos_up::up(&workspace, base.choice()),
        Command::Up { base, mesos: false } => node::up(&workspace, base.choice()),
        Command::Down { purge } => node::down(&workspace, purge),
        Command::Image { base, mesos } => build_image(&workspace, &base, mesos),
        Command::Test { tiers, guests, record, base, extra } => {
            let guests = guests.chosen();
            let options = Options {
                tiers: &tiers,
                base: base.choice(),
                guests: &guests,
                record,
                extra: &extra,
                ..Options::default()
            };
            suite::run(&workspace, &options)
        }
        Command::TestImage { image, base, extra } => {
            let (base, image) = (base.choice(), image.as_deref());
            let options = Options { tiers: &[Tier::Image], base, image, extra: &extra, ..Options::default() };
            suite::run(&workspace, &options)
        }
        Command::Bench { subjects, rounds } => bench::run(&workspace, &subjects, rounds),
        Command::Version(target) => release::version(&workspace, &target),
        Command::Tag(target) => release::tag(&workspace, &target),
        Command::Push(target) => release::push(&workspace, &target),
        Command::Release(target) => release::release(&workspace, &target),
        Command::Ci(base) => {
            lint::run(&workspace, &commands())?;
            suite::run(&workspace, &Options { base: base.choice(), ..Options::default() })
        }
        Command::Dist => dist::make(&workspace),
        Command::Lint => lint::run(&workspace, &commands()),
        Command::Schema { check } => lint::schema(&workspace, check),
        Command::Engine => leave_engine(&workspace),
        Command::EngineInit => {
            let line = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
            engine::init::run(&engine::Places::of(&workspace), line)
        }
    }
}

fn commands() -> Vec<String> {
    let cli = Cli::command();
    let visible = cli.get_subcommands().filter(|command| !command.is_hide_set());
    // clap adds this one itself, and late.
    visible.map(|command| command.get_name().to_owned()).chain(["help".to_owned()]).collect()
}

/// The engine stays, or the image that was just built would go with it.
fn build_image(workspace: &Workspace, base: &BaseArgs, mesos: bool) -> Result<()> {
    setup::install(workspace, &[setup::BUILD, setup::ENGINE])?;
    binaries::build(workspace)?;
    let mut engine = Engine::find_or_start(workspace)?;
    let image = if mesos {
        mesos::build(workspace, &engine, base.choice())?;
        mesos::NODE.to_owned()
    } else {
        image::build(workspace, &engine, base.choice())?
    };
    engine.keep()?;
    if engine.is_private() {
        progress::note(&format!("{image} is in a private engine: DOCKER_HOST={}", engine.host));
        progress::note("`cargo xtask down` stops it");
    }
    Ok(())
}

fn leave_engine(workspace: &Workspace) -> Result<()> {
    setup::install(workspace, &[setup::ENGINE])?;
    let mut engine = Engine::find_or_start(workspace)?;
    engine.keep()?;
    let Engine { host, pid, .. } = &engine;
    println!("export DOCKER_HOST={host} DIND_TEST_DOCKER_HOST={host} DIND_TEST_ENGINE_PID={pid}");
    Ok(())
}
