//! How soon a client gets an answer over TCP with certificates, which a node has to make first; beside the time of openssl for the
//! keys that docker:dind makes.

use super::outer::Container;
use super::site::{DataRoot, Kind, Site};
use crate::series::{Series, Task, in_turns, timed};
use crate::table::{Row, print};
use dind_lab::Result;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The part of a node's start that certificates may add.
const GOAL: f64 = 1.15;

pub(super) fn run(site: &Site, rounds: usize) -> Result<()> {
    let answer = |label, kind| -> Result<Duration> {
        let container = Container::create(site, label, kind, DataRoot::Volume)?;
        Ok(container.start()? + container.version()?)
    };
    let keys = site.directory.join("keys");
    std::fs::create_dir_all(&keys)?;
    let series = in_turns(
        rounds,
        &mut [
            Task::new("bare dockerd, `docker version`", || answer("bare-version", Kind::Bare)),
            Task::new("node, `docker version`", || answer("node-version", Kind::Node)),
            Task::new("node, `docker version`, new certificates", || answer("node-tls", Kind::NodeWithTls)),
            Task::new("openssl, three RSA keys as docker:dind's", || {
                ["ca", "server", "client"].into_iter().map(|name| rsa_key(&keys.join(name))).sum()
            }),
        ],
    )?;
    let [bare, node, tls, openssl]: &[Series; 4] = series.as_slice().try_into()?;
    let rows = [
        Row::against(bare, node),
        Row::against(node, node),
        Row::within(tls, node, GOAL),
        Row::against(openssl, node),
    ];
    print("from the start of PID 1 until a client has its answer", "node, `docker version`", &rows);
    Ok(())
}

fn rsa_key(file: &Path) -> Result<Duration> {
    timed(Command::new("openssl").args(["genrsa", "-out"]).arg(file).arg("4096"))
}
