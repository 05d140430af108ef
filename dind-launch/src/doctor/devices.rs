//! Judges the devices that a node may need: loop devices where the data root cannot carry overlay, fuse where it is
//! asked for.

use super::facts::{Seen, Wanted};
use super::probe;
use super::report::{Checks, Verdict};

pub(super) fn judge(seen: &Seen, wanted: &Wanted, checks: &mut Checks) {
    let (needed, otherwise) = if needs_loop(seen, wanted) {
        (Verdict::Missing, "the data root needs a loop image")
    } else {
        (Verdict::Poor, "a data root that cannot carry overlay gets no loop image")
    };
    let control = if !seen.files.contains("/dev/loop-control") {
        Some("no /dev/loop-control")
    } else {
        seen.refuses(probe::LOOP_CONTROL).then_some("the device cgroup refuses /dev/loop-control")
    };
    match control {
        None => checks.ok("loop devices", "/dev/loop-control"),
        Some(found) => {
            let cure =
                "--privileged, or --device /dev/loop-control; without the device on the host: modprobe loop";
            checks.push("loop devices", needed, format!("{found}: {otherwise}"), cure);
        }
    }
    if seen.refuses(probe::LOOP_DEVICE) {
        let found = format!("the device cgroup refuses loop devices: {otherwise}");
        let cure = "--privileged, or --device-cgroup-rule 'b 7:* rwm'";
        checks.push("loop device rule", needed, found, cure);
    } else {
        checks.ok("loop device rule", "no rule in the way");
    }
    if wanted.driver == "fuse-overlayfs" {
        fuse(seen, checks);
    }
}

fn fuse(seen: &Seen, checks: &mut Checks) {
    if seen.files.contains("/dev/fuse") && !seen.refuses("fuse") {
        return checks.ok("fuse", "/dev/fuse");
    }
    let cure = "--privileged, or --device /dev/fuse";
    checks.missing("fuse", "/dev/fuse cannot be used, and DIND_STORAGE_DRIVER asks for it", cure);
}

/// What `dind-storage` will find, as far as names tell: it tries.
fn needs_loop(seen: &Seen, wanted: &Wanted) -> bool {
    let layered = seen
        .mount_of(wanted.data_root())
        .is_some_and(|mount| ["overlay", "aufs"].contains(&mount.kind.as_str()));
    let native_only = ["vfs", "fuse-overlayfs", "btrfs", "zfs"].contains(&wanted.driver.as_str());
    match wanted.backing.as_str() {
        "loop" => true,
        "native" => false,
        _ => layered && !native_only,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dind_system::proc;

    fn seen(refused: &[&str]) -> Seen {
        let mounts =
            "1 0 0:30 / / rw - overlay overlay rw\n2 1 8:1 /v /var/lib/docker rw - ext4 /dev/sda1 rw\n";
        Seen {
            mounts: proc::parse_mounts(mounts),
            files: ["/dev/loop-control"].into(),
            refused: refused.iter().map(|name| (*name).to_owned()).collect(),
            ..Seen::default()
        }
    }

    fn judged(seen: &Seen, wanted: &Wanted) -> Checks {
        let mut checks = Checks::default();
        judge(seen, wanted, &mut checks);
        checks
    }

    #[test]
    fn loop_devices_matter_where_the_data_root_lies_on_an_overlay() {
        let (volume, overlay) =
            (Wanted::default(), Wanted { data_root: "/srv/docker".to_owned(), ..Wanted::default() });
        let vfs = Wanted { driver: "vfs".to_owned(), ..overlay.clone() };
        let bounded = Wanted { backing: "loop".to_owned(), ..Wanted::default() };
        let refused = seen(&["loop-device"]);
        for (wanted, verdict) in [
            (&volume, Verdict::Poor),
            (&overlay, Verdict::Missing),
            (&vfs, Verdict::Poor),
            (&bounded, Verdict::Missing),
        ] {
            let checks = judged(&refused, wanted);
            assert_eq!(checks.told("loop device rule").0, verdict, "{wanted:?}");
            assert_eq!(checks.told("loop devices").0, Verdict::Ok);
        }
        assert_eq!(judged(&seen(&[]), &overlay).told("loop device rule").0, Verdict::Ok);
        let none = Seen { files: [].into(), ..seen(&[]) };
        assert_eq!(judged(&none, &overlay).told("loop devices").0, Verdict::Missing);
        assert_eq!(judged(&seen(&["loop-control"]), &volume).told("loop devices").0, Verdict::Poor);
    }

    #[test]
    fn fuse_matters_where_it_is_asked_for() {
        let asked = Wanted { driver: "fuse-overlayfs".to_owned(), ..Wanted::default() };
        assert_eq!(judged(&seen(&[]), &asked).told("fuse").0, Verdict::Missing);
        let given = Seen { files: ["/dev/fuse"].into(), ..seen(&[]) };
        assert_eq!(judged(&given, &asked).told("fuse").0, Verdict::Ok);
        let unasked = judged(&given, &Wanted::default()).examination();
        assert!(unasked.checks.iter().all(|check| check.name != "fuse"));
    }
}
