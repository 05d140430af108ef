//! Checks whether the programs that a node runs are in the image, and fit together.

use crate::doctor::capabilities::{OPENS_NAMESPACES, WANTED};
use crate::doctor::facts::Observed;
use crate::doctor::report::{Checks, Verdict};
use crate::engine::version;
use crate::mesos;
use crate::paths;
use crate::process::sibling::Tools;
use dind_system::{PackageManager, Root};

/// The first engine that writes its rules with either (moby 29.0, `--firewall-backend`).
const ENGINE_WITH_NFTABLES: u32 = 29;

const PROGRAMS: [(&str, Verdict, &str); 5] = [
    ("dockerd", Verdict::Missing, "docker.io"),
    ("containerd", Verdict::Missing, "containerd"),
    ("runc", Verdict::Missing, "runc"),
    ("iptables", Verdict::Missing, "iptables"),
    ("mkfs.ext4", Verdict::Degraded, "e2fsprogs"),
];

pub(super) fn evaluate(root: &Root, observed: &Observed, checks: &mut Checks) {
    let packages = PackageManager::of(root);
    let version = root.is_host().then(version::installed).flatten();
    for (name, verdict, package) in PROGRAMS {
        match paths::program(root, name).is_some() {
            true => checks.ok(name, "installed"),
            false if name == "iptables" && writes_with_nft(root, version.as_deref()) => {
                checks.ok(name, "not installed, and not needed: the engine writes its rules with nft");
            }
            false => {
                checks.push(
                    name,
                    verdict,
                    format!("{name} is not on PATH"),
                    &install(packages, name, package),
                );
            }
        }
    }
    // Beside this very program, which is not part of a captured machine.
    if root.is_host() {
        match Tools::find(None) {
            Ok(_) => checks.ok("dind tools", "found"),
            Err(_) => checks.missing(
                "dind tools",
                "dind-storage, dind-net and dind-reaper are not all beside dind-launch or on PATH",
                "put the four tools into one directory",
            ),
        }
        if let Some(version) = version {
            match version::objection(&version) {
                None => checks.ok("engine", format!("version {version}")),
                Some(objection) => checks.missing("engine", objection, version::HINT),
            }
            other_users(observed, &version, checks);
        }
        if let Some(pair) = mesos::Pair::installed() {
            agent(&pair, checks);
        }
    }
}

/// How a program gets into the image, in a list of checks: the bare command where there is one.
pub(super) fn install(packages: PackageManager, program: &str, package: &str) -> String {
    packages.command(package).unwrap_or_else(|| packages.hint(program, package))
}

/// Whether the engine can do without iptables, and nft is there for it. What else that takes, `dind-net` looks at.
fn writes_with_nft(root: &Root, version: Option<&str>) -> bool {
    let major = version.and_then(version::major);
    major.is_some_and(|major| major >= ENGINE_WITH_NFTABLES) && paths::program(root, "nft").is_some()
}

/// Engines that open the namespaces of their containers' processes need a capability where these are another user.
fn other_users(observed: &Observed, version: &str, checks: &mut Checks) {
    let major = version.split('.').next().and_then(|text| text.parse::<u32>().ok());
    let needed = major.is_none_or(|major| major >= OPENS_NAMESPACES);
    for (number, name, purpose) in WANTED {
        let check = format!("CAP_{name}");
        match (observed.may_hold(*number), needed) {
            (true, _) => checks.ok(&check, format!("present, for {purpose}")),
            (false, false) => checks.ok(&check, format!("not needed by engine {version}")),
            (false, true) => checks.degraded(
                &check,
                format!(
                    "{check} is missing: engine {version} cannot start {purpose} (`bind-mount /proc/PID/ns/net: permission denied`)"
                ),
                &format!("--privileged, or --cap-add {name}"),
            ),
        }
    }
}

fn agent(pair: &mesos::Pair, checks: &mut Checks) {
    let found = format!("Mesos {} with engine {}", pair.agent, pair.engine);
    match pair.fits() {
        true => checks.ok("Mesos agent", found),
        false => checks.degraded(
            "Mesos agent",
            format!("{found}: this agent cannot run tasks on engine 26 and newer"),
            "install clusterd 1.11.0-0.5.0 or newer in the image, or an engine older than 26",
        ),
    }
}
