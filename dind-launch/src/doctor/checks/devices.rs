//! Checks the devices that a node may need: loop devices where the data root cannot carry overlay, fuse where the user wants it.

use crate::doctor::facts::probe;
use crate::doctor::facts::{Observed, StorageArgs};
use crate::doctor::report::{Checks, Verdict};

pub(super) fn evaluate(observed: &Observed, args: &StorageArgs, checks: &mut Checks) {
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
    if args.driver == "fuse-overlayfs" {
        fuse(observed, checks);
    }
}

fn fuse(observed: &Observed, checks: &mut Checks) {
    if observed.files.contains("/dev/fuse") && !observed.refuses("fuse") {
        return checks.ok("fuse", "/dev/fuse");
    }
    let hint = "--privileged, or --device /dev/fuse";
    checks.missing("fuse", "/dev/fuse cannot be used, but DIND_STORAGE_DRIVER=fuse-overlayfs needs it", hint);
}

/// What `dind-storage` will probably decide: it tries, and this goes by names.
fn needs_loop(observed: &Observed, args: &StorageArgs) -> bool {
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

    fn evaluated(observed: &Observed, args: &StorageArgs) -> Checks {
        let mut checks = Checks::default();
        evaluate(observed, args, &mut checks);
        checks
    }

    #[test]
    fn loop_devices_matter_where_the_data_root_lies_on_an_overlay() {
        let (volume, overlay) = (
            StorageArgs::default(),
            StorageArgs { data_root: "/srv/docker".to_owned(), ..StorageArgs::default() },
        );
        let vfs = StorageArgs { driver: "vfs".to_owned(), ..overlay.clone() };
        let bounded = StorageArgs { backing: "loop".to_owned(), ..StorageArgs::default() };
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
    fn fuse_matters_where_the_user_wants_it() {
        let asked = StorageArgs { driver: "fuse-overlayfs".to_owned(), ..StorageArgs::default() };
        assert_eq!(evaluated(&observed(&[]), &asked).outcome("fuse").0, Verdict::Missing);
        let given = Observed { files: ["/dev/fuse"].into(), ..observed(&[]) };
        assert_eq!(evaluated(&given, &asked).outcome("fuse").0, Verdict::Ok);
        let default = evaluated(&given, &StorageArgs::default()).examination();
        assert!(default.checks.iter().all(|check| check.name != "fuse"));
    }
}
