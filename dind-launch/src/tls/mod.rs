//! `tls`: certificates for the engine's TCP socket and its clients, in docker:dind's layout, and who may connect to it.
//!
//! * [`options`]: what users decide. [`name`]: the names of a certificate, and `DOCKER_TLS_SAN`. [`listen`]: which sockets dockerd
//!   gets.
//! * `layout`: the files. `facts` reads them, and the names of the container; `certificate` understands them; `plan` makes steps of
//!   the facts, and `step` says how each is made. `issue` signs.
//! * `lock` keeps two applies apart. `install` puts all new files in their places, or none.

mod certificate;
mod clock;
mod facts;
mod install;
mod issue;
mod layout;
pub mod listen;
mod lock;
pub mod name;
pub mod options;
mod plan;
mod report;
mod step;

pub use options::TlsOptions;
pub use report::{CertificateReport, Certificates};

use crate::paths::SOCKET;
use dind_contract::step::{Journal, planned};
use dind_contract::{Draft, Engine, Failed, Fault, Outcome, Warning};
use dind_system::Root;
use facts::Facts;
use layout::{CA_CERT, CLIENT_CERT, SERVER_CERT};
use listen::Listen;
use serde_json::json;
use std::fs;
use std::path::Path;
use step::{Change, TlsStep, Work, not_written};

/// What [`apply`] would do.
///
/// # Errors
/// What is in the directory cannot be read or used, or nothing can be written there.
pub fn plan(root: &Root, options: &TlsOptions) -> Outcome<Certificates> {
    let (engine, mut warnings) = for_script(options)?;
    let Some(directory) = &options.directory else {
        return Ok(Draft { engine, warnings, ..Draft::default() });
    };
    let plan = plan::decide(&whole_facts(root, directory, options)?)?;
    warnings.extend(plan.warnings);
    Ok(Draft { result: plan.result, engine, steps: planned(&plan.steps), warnings })
}

/// What is wrong with the certificates of an engine that may be running, as warnings: they expire soon, or others may read a key.
///
/// # Errors
/// As [`plan`]: the engine cannot be started with them.
pub fn ailments(root: &Root, options: &TlsOptions) -> Result<Vec<Warning>, Fault> {
    let Some(directory) = &options.directory else { return Ok(Vec::new()) };
    plan::ailments(&whole_facts(root, directory, options)?)
}

/// The facts while nobody changes them: half of another's files would look like a CA without its key.
fn whole_facts(root: &Root, directory: &Path, options: &TlsOptions) -> Result<Facts, Fault> {
    let _lock = (root.is_host() && directory.is_dir()).then(|| lock::take(directory)).transpose()?;
    Facts::read(root, directory, options)
}

/// Makes what is missing, does not fit or gets old, and puts it in place: all of it or nothing.
///
/// # Errors
/// Those of [`plan`]; another one has locked the directory for too long; the files cannot be written.
pub fn apply(options: &TlsOptions) -> Outcome<Certificates> {
    let (engine, mut warnings) = for_script(options)?;
    let Some(directory) = &options.directory else {
        return Ok(Draft { engine, warnings, ..Draft::default() });
    };
    let root = Root::default();
    let (mut work, mut journal) = (Work::default(), Journal::default());
    match apply_in(directory, options, &root, &mut work, &mut journal) {
        Ok((result, found)) => {
            warnings.extend(found);
            Ok(Draft { result, engine, steps: journal.keep(), warnings })
        }
        Err(fault) => Err(Failed { fault: Box::new(fault), steps: journal.undo(&mut work) }),
    }
}

fn apply_in(
    directory: &Path,
    options: &TlsOptions,
    root: &Root,
    work: &mut Work,
    journal: &mut Journal<Work>,
) -> Result<(Certificates, Vec<Warning>), Fault> {
    let make = TlsStep::new(Change::MakeDirectory(directory.to_owned()));
    let made = !directory.is_dir();
    if made {
        journal.run(std::slice::from_ref(&make), work)?;
    }
    let lock = lock::take(directory)?;
    work.place = fs::canonicalize(directory).map_err(|error| not_written("open", directory, &error))?;
    work.facts = Facts::read(root, directory, options)?;
    let mut plan = plan::decide(&work.facts)?;
    plan.steps.retain(|step| !made || !matches!(step.change, Change::MakeDirectory(_)));
    if work.facts.writable && !work.facts.interrupted {
        // What a killed apply left, before it had decided.
        install::finish_interrupted(&work.place).map_err(|error| not_written("write", directory, &error))?;
    }
    journal.run(&plan.steps, work)?;
    for (file, report) in [
        (CA_CERT, &mut plan.result.ca),
        (SERVER_CERT, &mut plan.result.server),
        (CLIENT_CERT, &mut plan.result.client),
    ] {
        if report.is_none() {
            *report = work.certificate(file).ok().map(|found| CertificateReport::of(&found));
        }
    }
    plan.warnings.extend(lock.as_ref().err().cloned());
    Ok((plan.result, plan.warnings))
}

/// Settings for an engine that a shell script starts. The node's own socket is among them, because dockerd has no default beside
/// sockets that it is given.
fn for_script(options: &TlsOptions) -> Result<(Engine, Vec<Warning>), Fault> {
    let Listen { mut engine, hosts, warnings } = Listen::for_script(options)?;
    if !hosts.is_empty() {
        let own = format!("unix://{SOCKET}");
        engine.set("hosts", json!(std::iter::once(own).chain(hosts).collect::<Vec<_>>()));
    }
    Ok((engine, warnings))
}
