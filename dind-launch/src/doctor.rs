//! `doctor`: everything that this container lacks, at once, each with the docker flag that gives it.

use crate::facts::{self, NEEDED};
use crate::fault;
use crate::mounts;
use crate::tools::Tools;
use dind_contract::{Draft, Outcome, Root, Warning};
use nix::unistd::{AccessFlags, access};
use schemars::JsonSchema;
use serde::Serialize;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// A node runs without it, with less.
    Poor,
    /// No node runs without it.
    Missing,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Check {
    /// What was looked at.
    pub name: String,
    /// How it ended.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// The docker flag, or the command, that cures it; empty where there is nothing to cure.
    pub cure: String,
}

/// All checks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Examination {
    /// In the order in which a start would meet them.
    pub checks: Vec<Check>,
}

impl Examination {
    /// Notes a check; `otherwise` is its verdict when it does not hold.
    fn check(&mut self, name: &str, holds: bool, otherwise: Verdict, found: [&str; 2], cure: &str) {
        let (verdict, found, cure) =
            if holds { (Verdict::Ok, found[0], "") } else { (otherwise, found[1], cure) };
        let (name, found, cure) = (name.to_owned(), found.to_owned(), cure.to_owned());
        self.checks.push(Check { name, verdict, found, cure });
    }
}

/// Looks at everything that a node needs.
///
/// # Errors
/// [`fault::NODE_CANNOT_WORK`], with all that is missing as its causes.
pub fn examine(root: &Root) -> Outcome<Examination> {
    let mut found = Examination::default();
    privileges(root, &mut found);
    kernel(root, &mut found);
    cgroups(root, &mut found);
    programs(&mut found);

    let of = |verdict| found.checks.iter().filter(move |check| check.verdict == verdict);
    let missing: Vec<String> = of(Verdict::Missing)
        .map(|check| format!("{}: {} ({})", check.name, check.found, check.cure))
        .collect();
    if missing.is_empty() {
        let warnings = of(Verdict::Poor).map(|check| {
            Warning::new("node-is-poor", format!("{}: {}", check.name, check.found), &check.cure)
        });
        let warnings = warnings.collect();
        return Ok(Draft { result: found, warnings, ..Draft::default() });
    }
    let object = format!("{} of {} checks", missing.len(), found.checks.len());
    let mut fault = fault::NODE_CANNOT_WORK.cannot("pass", object, "the container lacks what a node needs");
    fault.causes = missing;
    Err(fault.hint("docker run --privileged gives all privileges; each cause names its own flag").into())
}

fn privileges(root: &Root, found: &mut Examination) {
    let status = root.read("/proc/self/status").unwrap_or_default();
    let root_user = status.lines().any(|line| line.starts_with("Uid:\t0\t"));
    found.check("user", root_user, Verdict::Missing, ["root", "not root"], "--user 0");
    let mask = facts::capabilities(root).unwrap_or_default();
    for (number, name, purpose) in NEEDED {
        let words = [format!("held, for {purpose}"), format!("missing; it is for {purpose}")];
        let cure = format!("--privileged, or --cap-add {name}");
        let words = words.each_ref().map(String::as_str);
        found.check(&format!("CAP_{name}"), facts::has(mask, *number), Verdict::Missing, words, &cure);
    }
    // Docker's own profile lets mount(2) pass for SYS_ADMIN, and blocks the keyring calls that runc makes.
    let filtered = status.lines().any(|line| line == "Seccomp:\t2");
    let words = [
        "no filter",
        "a seccomp filter; Docker's own blocks keyctl and pivot_root, which inner containers need",
    ];
    found.check(
        "seccomp",
        !filtered,
        Verdict::Poor,
        words,
        "--privileged, or --security-opt seccomp=unconfined",
    );
}

fn kernel(root: &Root, found: &mut Examination) {
    let filesystems = root.read("/proc/filesystems").unwrap_or_default();
    let has = |name: &str| filesystems.lines().any(|line| line.split_whitespace().last() == Some(name));
    let words = ["overlay or aufs", "neither overlay nor aufs in /proc/filesystems"];
    let cure = "load the module on the host: modprobe overlay";
    found.check("union filesystem", has("overlay") || has("aufs"), Verdict::Poor, words, cure);
    let loops = root.exists("/dev/loop-control");
    let words = [
        "/dev/loop-control",
        "no /dev/loop-control: a data root that cannot carry overlay gets no loop image",
    ];
    let cure = "--privileged, or --device /dev/loop-control --device-cgroup-rule 'b 7:* rwm'";
    found.check("loop devices", loops, Verdict::Poor, words, cure);
    let sysctl = "/proc/sys/net/ipv4/ip_forward";
    let forwards = root.read(sysctl).is_ok_and(|text| text.trim() == "1");
    let writable = forwards || access(&root.path(sysctl), AccessFlags::W_OK).is_ok();
    let words = ["on, or can be switched on", "off, and /proc/sys is read-only: dockerd cannot switch it on"];
    found.check(
        "ip_forward",
        writable,
        Verdict::Missing,
        words,
        "--privileged, or --sysctl net.ipv4.ip_forward=1",
    );
}

fn cgroups(root: &Root, found: &mut Examination) {
    let mounts = mounts::parse(&root.read("/proc/self/mountinfo").unwrap_or_default());
    let groups: Vec<_> = mounts.iter().filter(|mount| mount.kind.starts_with("cgroup")).collect();
    let can_mount = facts::has(facts::capabilities(root).unwrap_or_default(), 21);
    let usable = can_mount || (!groups.is_empty() && groups.iter().all(|mount| !mount.read_only));
    let words = ["writable, or can be made so", "read-only"];
    found.check("cgroups", usable, Verdict::Missing, words, "--privileged, or --cap-add SYS_ADMIN");
}

fn programs(found: &mut Examination) {
    for (name, verdict, package) in [
        ("dockerd", Verdict::Missing, "docker.io"),
        ("containerd", Verdict::Missing, "containerd"),
        ("runc", Verdict::Missing, "runc"),
        ("iptables", Verdict::Missing, "iptables"),
        ("mkfs.ext4", Verdict::Poor, "e2fsprogs"),
    ] {
        let cure = format!("apt-get install {package}");
        found.check(name, which::which(name).is_ok(), verdict, ["installed", "not on PATH"], &cure);
    }
    let words =
        ["found", "not all of dind-storage, dind-net and dind-reaper are beside dind-launch or on PATH"];
    found.check(
        "dind tools",
        Tools::find(None).is_ok(),
        Verdict::Missing,
        words,
        "put the four tools into one folder",
    );
}
