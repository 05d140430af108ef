//! Checks the devices that a node may need: loop devices where the data root cannot carry overlay, fuse where the user wants it.

use crate::doctor::facts::probe;
use crate::doctor::facts::{NodeArgs, Observed};
use crate::doctor::report::{Checks, Verdict};

pub(super) fn evaluate(observed: &Observed, args: &NodeArgs, checks: &mut Checks) {
    if observed.in_user_namespace {
        in_user_namespace(observed, args, checks);
    } else {
        loops(observed, args, checks);
    }
    if args.driver == "fuse-overlayfs" {
        fuse(observed, checks);
    }
}

/// Root of a user namespace mounts no loop device, whatever devices it has. And a block device of the machine is a way out.
fn in_user_namespace(observed: &Observed, args: &NodeArgs, checks: &mut Checks) {
    if needs_loop(observed, args) {
        let found =
            "root of a user namespace cannot mount loop devices, but the data root needs a loop image";
        let unset = if args.backing == "loop" { "unset DIND_STORAGE_BACKING, and " } else { "" };
        let hint = format!("{unset}mount a volume on the data root: --volume {}", args.data_root());
        checks.missing("loop devices", found, &hint);
    } else {
        checks.ok("loop devices", "not needed: the data root is a volume");
    }
    let devices = &observed.block_devices;
    let (first, more) = devices.split_at(devices.len().min(NAMED));
    let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
    let first = first.join(", ");
    match (devices.is_empty(), args.allow_host_devices) {
        (true, _) => checks.ok("host devices", "no block device of the machine can be opened"),
        (false, true) => {
            checks.ok("host devices", format!("allowed by DIND_ALLOW_HOST_DEVICES: {first}{more}"));
        }
        (false, false) => checks.missing(
            "host devices",
            format!("block devices of the machine can be opened, so the user namespace is no boundary: {first}{more}"),
            "start it without --privileged and without --device; `dind-launch doctor --run-flags` prints the set `userns`. \
             DIND_ALLOW_HOST_DEVICES=true allows devices that are meant for the node",
        ),
    }
}

fn loops(observed: &Observed, args: &NodeArgs, checks: &mut Checks) {
    let (needed, consequence) = if needs_loop(observed, args) {
        (Verdict::Missing, "but the data root needs a loop image")
    } else {
        (Verdict::Degraded, "so a data root that cannot carry overlay gets no loop image")
    };
    let control = if !observed.files.contains("/dev/loop-control") {
        Some("/dev/loop-control does not exist")
    } else {
        observed.refuses(probe::LOOP_CONTROL).then_some("the device cgroup refuses /dev/loop-control")
    };
    match control {
        None => checks.ok("loop devices", "/dev/loop-control"),
        Some(found) => {
            let hint =
                "--privileged, or --device /dev/loop-control; if the host does not have it: modprobe loop";
            checks.push("loop devices", needed, format!("{found}, {consequence}"), hint);
        }
    }
    if observed.refuses(probe::LOOP_DEVICE) {
        let found = format!("the device cgroup refuses loop devices, {consequence}");
        let hint = "--privileged, or --device-cgroup-rule 'b 7:* rwm'";
        checks.push("loop device rule", needed, found, hint);
    } else {
        checks.ok("loop device rule", "allowed");
    }
}

fn fuse(observed: &Observed, checks: &mut Checks) {
    if observed.files.contains("/dev/fuse") && !observed.refuses("fuse") {
        return checks.ok("fuse", "/dev/fuse");
    }
    let hint = "--privileged, or --device /dev/fuse";
    checks.missing("fuse", "/dev/fuse cannot be used, but DIND_STORAGE_DRIVER=fuse-overlayfs needs it", hint);
}

/// Of many devices, so many are named.
const NAMED: usize = 5;

/// What `dind-storage` will probably decide: it tries, and this goes by names.
fn needs_loop(observed: &Observed, args: &NodeArgs) -> bool {
    let layered = observed
        .mount_of(args.data_root())
        .is_some_and(|mount| ["overlay", "aufs"].contains(&mount.kind.as_str()));
    let native_only = ["vfs", "fuse-overlayfs", "btrfs", "zfs"].contains(&args.driver.as_str());
    match args.backing.as_str() {
        "loop" => true,
        "native" => false,
        _ => layered && !native_only,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dind_system::proc;

    fn observed(refused: &[&str]) -> Observed {
        let mounts =
            "1 0 0:30 / / rw - overlay overlay rw\n2 1 8:1 /v /var/lib/docker rw - ext4 /dev/sda1 rw\n";
        Observed {
            mounts: proc::parse_mounts(mounts),
            files: ["/dev/loop-control"].into(),
            refused: refused.iter().map(|name| (*name).to_owned()).collect(),
            ..Observed::default()
        }
    }

    fn evaluated(observed: &Observed, args: &NodeArgs) -> Checks {
        let mut checks = Checks::default();
        evaluate(observed, args, &mut checks);
        checks
    }

    #[test]
    fn loop_devices_matter_where_the_data_root_lies_on_an_overlay() {
        let (volume, overlay) =
            (NodeArgs::default(), NodeArgs { data_root: "/srv/docker".to_owned(), ..NodeArgs::default() });
        let vfs = NodeArgs { driver: "vfs".to_owned(), ..overlay.clone() };
        let bounded = NodeArgs { backing: "loop".to_owned(), ..NodeArgs::default() };
        let refused = observed(&["loop-device"]);
        for (args, verdict) in [
            (&volume, Verdict::Degraded),
            (&overlay, Verdict::Missing),
            (&vfs, Verdict::Degraded),
            (&bounded, Verdict::Missing),
        ] {
            let checks = evaluated(&refused, args);
            assert_eq!(checks.outcome("loop device rule").0, verdict, "{args:?}");
            assert_eq!(checks.outcome("loop devices").0, Verdict::Ok);
        }
        assert_eq!(evaluated(&observed(&[]), &overlay).outcome("loop device rule").0, Verdict::Ok);
        let none = Observed { files: [].into(), ..observed(&[]) };
        assert_eq!(evaluated(&none, &overlay).outcome("loop devices").0, Verdict::Missing);
        assert_eq!(
            evaluated(&observed(&["loop-control"]), &volume).outcome("loop devices").0,
            Verdict::Degraded
        );
    }

    #[test]
    fn a_user_namespace_needs_a_volume_and_no_loop_device() {
        let mapped = Observed { in_user_namespace: true, ..observed(&["loop-device", "loop-control"]) };
        let checks = evaluated(&mapped, &NodeArgs::default());
        assert!(checks.examination().checks.iter().all(|check| check.verdict == Verdict::Ok));
        let overlay = NodeArgs { data_root: "/srv/docker".to_owned(), ..NodeArgs::default() };
        let hint = "mount a volume on the data root: --volume /srv/docker";
        assert_eq!(evaluated(&mapped, &overlay).outcome("loop devices"), (Verdict::Missing, hint));
    }

    #[test]
    fn a_disk_of_the_machine_that_can_be_opened_is_a_way_out_of_a_user_namespace() {
        let block_devices = (0..7).map(|number| format!("/dev/sd{number}")).collect();
        let open = Observed { in_user_namespace: true, block_devices, ..observed(&[]) };
        let refused = evaluated(&open, &NodeArgs::default()).examination();
        let check = refused.checks.iter().find(|check| check.name == "host devices").unwrap();
        assert_eq!(check.verdict, Verdict::Missing);
        assert!(
            check.found.ends_with(": /dev/sd0, /dev/sd1, /dev/sd2, /dev/sd3, /dev/sd4 and 2 more"),
            "{check:?}"
        );
        let allowed = NodeArgs { allow_host_devices: true, ..NodeArgs::default() };
        assert_eq!(evaluated(&open, &allowed).outcome("host devices").0, Verdict::Ok);
    }

    #[test]
    fn fuse_matters_where_the_user_wants_it() {
        let asked = NodeArgs { driver: "fuse-overlayfs".to_owned(), ..NodeArgs::default() };
        assert_eq!(evaluated(&observed(&[]), &asked).outcome("fuse").0, Verdict::Missing);
        let given = Observed { files: ["/dev/fuse"].into(), ..observed(&[]) };
        assert_eq!(evaluated(&given, &asked).outcome("fuse").0, Verdict::Ok);
        let default = evaluated(&given, &NodeArgs::default()).examination();
        assert!(default.checks.iter().all(|check| check.name != "fuse"));
    }
}
