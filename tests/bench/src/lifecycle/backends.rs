//! What the engine's firewall backend is worth, from version 29 on: a node, which takes nftables by itself, against bare dockerd with
//! its default, iptables. Engine 29 comes in an image of the user's: `DIND_BENCH_IMAGE`.

use super::outer::Container;
use super::site::{DataRoot, Kind, Site};
use crate::series::{Series, Task, in_turns};
use crate::table::{Row, print};
use dind_lab::Result;
use std::fs;

/// The part of bare dockerd's start that a node may take, where both choose for themselves.
const GOAL: f64 = 0.65;

/// The first engine with a choice.
const FIRST: u32 = 29;

/// Whether the engine of the image has a choice.
pub(super) fn has_choice(site: &Site) -> Result<bool> {
    let shown = site.ask(&["run", "--rm", "--entrypoint", "dockerd", &site.image, "--version"])?;
    let version = shown.split([' ', ',', '.']).nth(2).and_then(|major| major.parse::<u32>().ok());
    Ok(version.ok_or_else(|| format!("`dockerd --version` printed no version: `{shown}`"))? >= FIRST)
}

/// Measures and prints.
///
/// # Errors
/// The engine of the image has no such choice; a container does not start.
pub(super) fn run(site: &Site, rounds: usize) -> Result<()> {
    if !has_choice(site)? {
        let cause = format!("the engine of {} has one firewall backend", site.image);
        return Err(format!(
            "cannot compare: {cause}\nhint: DIND_BENCH_IMAGE names an image with engine {FIRST}"
        )
        .into());
    }
    // Bare dockerd only checks forwarding with nftables.
    fs::create_dir_all(&site.directory)?;
    let settings = site.directory.join("nftables.json");
    fs::write(&settings, r#"{"firewall-backend": "nftables"}"#)?;
    let volume = format!("{}:/etc/docker/daemon.json:ro", settings.display());
    let nftables = ["--privileged", "--sysctl", "net.ipv4.ip_forward=1", "--volume", &volume];
    let iptables = ["--privileged", "--env", "DIND_NET_FIREWALL=iptables"];
    let start =
        |label, kind, flags: &[&str]| Container::with(site, label, kind, DataRoot::Volume, flags)?.start();
    let series = in_turns(
        rounds,
        &mut [
            Task::new("bare dockerd, its default (iptables)", || {
                start("bare", Kind::Bare, &["--privileged"])
            }),
            Task::new("bare dockerd, nftables", || start("bare-nftables", Kind::Bare, &nftables)),
            Task::new("node, its default (nftables)", || start("node", Kind::Node, &["--privileged"])),
            Task::new("node, iptables", || start("node-iptables", Kind::Node, &iptables)),
        ],
    )?;
    let [bare, bare_nftables, node, node_iptables]: &[Series; 4] = series.as_slice().try_into()?;
    let rows = [
        Row::against(bare, bare),
        Row::against(bare_nftables, bare),
        Row::within(node, bare, GOAL),
        Row::against(node_iptables, bare),
    ];
    print(
        "from the start of PID 1 until the engine answers, by firewall backend",
        "bare dockerd, its default",
        &rows,
    );
    Ok(())
}
