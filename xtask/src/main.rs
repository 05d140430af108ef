//! Builds the image, runs nodes and suites: `cargo xtask help`.
//!
//! * `cli`: the commands and their options
//! * `image`, `up`, `release`, `dist`: commands that make something; `image_sizes`: how large the image is
//! * `suite`: the tests; `support_table`: where they have passed
//! * `lint`: checks that need neither root nor an engine
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod cli;
mod dist;
mod escape_table;
mod image;
mod image_sizes;
mod lint;
mod release;
mod suite;
mod support_table;
mod up;

use clap::Parser;
use cli::{Cli, Command};
use dind_lab::arch::Arch;
use dind_lab::engine::{self, runtime};
use dind_lab::guest::Guest;
use dind_lab::product::image::Recipe;
use dind_lab::{Result, Workspace, progress, setup};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use suite::{Options, Tier};

/// Of shorter commands nobody asks how long they took.
const WORTH_SAYING: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let mut args = std::env::args();
    let own_name = args.next().unwrap_or_default();
    if let Some(runtime) = runtime::behind(&own_name) {
        return ended(runtime::run(runtime, &args.collect::<Vec<_>>()));
    }
    let Cli { command, yes } = Cli::parse();
    if yes {
        setup::consent::give();
    }
    let (start, next) = (Instant::now(), command.next());
    let done = run(command);
    let outcome = if done.is_ok() { "done" } else { "failed" };
    if start.elapsed() >= WORTH_SAYING {
        progress::heading(&format!("{outcome} after {}", progress::time(start.elapsed())));
    }
    if let Some(next) = next.filter(|_| done.is_ok()) {
        progress::note(&format!("next: {next}"));
    }
    ended(done)
}

/// As `.ci/run` has it.
fn ci(workspace: &Workspace, base: &cli::BaseArgs) -> Result<()> {
    lint::run(workspace, cli::accepts)?;
    suite::run(workspace, &Options { tiers: &[Tier::Unit], arch: Arch::Aarch64, ..Options::default() })?;
    suite::run(workspace, &Options { base: base.choice(), ..Options::default() })?;
    suite::run(workspace, &Options { tiers: &[Tier::Vm], guests: &[Guest::MAPPING], ..Options::default() })
}

fn ended(done: Result<()>) -> ExitCode {
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
        Command::Up { base, mesos } => up::up(&workspace, base.choice(), mesos),
        Command::Down { purge } => up::down(&workspace, purge),
        Command::Image { base, mesos, engine_archive, tag, platform } => {
            let from_archive = engine_archive.is_some();
            let recipe = Recipe { base: base.choice(), from_archive, tag: tag.as_deref(), arch: platform };
            image::build(&workspace, recipe, engine_archive.as_deref(), mesos)
        }
        Command::Test { tiers, guests, suites, record, base, node, extra } => {
            let (arch, guests) = (guests.arch(), guests.chosen());
            let options = Options {
                tiers: &tiers,
                arch,
                base: base.choice(),
                engine_archive: node.engine_archive.as_deref(),
                firewall: node.firewall,
                guests: &guests,
                suites: &suites,
                record,
                extra: &extra,
                ..Options::default()
            };
            suite::run(&workspace, &options)
        }
        Command::TestImage { image, base, node, extra } => {
            let options = Options {
                tiers: &[Tier::Image],
                base: base.choice(),
                image: image.as_deref(),
                engine_archive: node.engine_archive.as_deref(),
                firewall: node.firewall,
                extra: &extra,
                ..Options::default()
            };
            suite::run(&workspace, &options)
        }
        Command::Bench { rounds, chart, draw, .. } if draw || chart.is_some() => {
            dind_bench::charts(&workspace, &chart.unwrap_or_default(), rounds, draw)
        }
        Command::Bench { subjects, rounds, .. } => dind_bench::run(&workspace, &subjects, rounds),
        Command::Version(target) => release::version(&workspace, &target),
        Command::Tag(target) => release::tag(&workspace, &target),
        Command::Push(target) => release::push(&workspace, &target),
        Command::Release(target) => release::release(&workspace, &target),
        Command::Ci(base) => ci(&workspace, &base),
        Command::Dist { of: Some(built), .. } => dist::of_binaries(&workspace, &built).map(drop),
        Command::Dist { target, check, of: None } => {
            let arch = target.unwrap_or(Arch::HOST);
            if check { dist::check(&workspace, arch) } else { dist::make(&workspace, arch).map(drop) }
        }
        Command::Lint => lint::run(&workspace, cli::accepts),
        Command::Schema { check } => lint::schema(&workspace, check),
        Command::Engine => image::leave_engine(&workspace),
        Command::EngineInit => {
            let line = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
            engine::init::run(&engine::Paths::of(&workspace), line)
        }
    }
}
