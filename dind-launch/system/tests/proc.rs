//! What the kernel writes, read as it is meant.

use dind_system::Root;
use dind_system::proc::{
    cgroup_directories, mount_at, mount_of, parse_cgroups, parse_mounts, parse_status, points_below, status,
};
use std::path::Path;

const MOUNTINFO: &str = "\
22 1 0:33 / / rw,relatime - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w
30 22 8:1 /volumes/x /var/lib/docker rw,relatime shared:1 master:2 - ext4 /dev/sda1 rw
31 30 7:3 / /var/lib/docker rw,relatime - ext4 /dev/loop3 rw
32 31 0:44 / /var/lib/docker/overlay2/a\\040b/merged rw - overlay overlay rw
33 31 0:45 / /var/lib/docker/x rw - tmpfs tmpfs rw,emergency_ro
34 22 0:26 /docker/abc /sys/fs/cgroup/cpu ro,nosuid,nodev,noexec master:9 - cgroup cgroup rw,cpu
35 22 8:1 /v /srv/my\\040data rw shared:7 - ext4 /dev/sda1 rw
36 22 8:1 / /srv/back\\134slash\\09 rw - ext4 /dev/sda1
nonsense
";

#[test]
fn the_deepest_and_uppermost_mount_carries_a_path() {
    let mounts = parse_mounts(MOUNTINFO);
    assert_eq!(mounts.len(), 8);
    assert_eq!(mount_of(&mounts, "/var/lib").unwrap().kind, "overlay");
    assert_eq!(mount_of(&mounts, "/var/lib/docker/y").unwrap().device, (7, 3));
    assert_eq!(mount_of(&mounts, "/var/lib/docker2").unwrap().device, (0, 33));
    assert_eq!(mount_at(&mounts, "/var/lib/docker").unwrap().source, "/dev/loop3");
    assert_eq!(mount_at(&mounts, "/var/lib"), None);
    assert!(mounts[1].shared && !mounts[2].shared);
    assert!(!mounts[4].is_writable() && !mounts[4].read_only && mounts[2].is_writable());
}

#[test]
fn a_container_of_cgroup_v1() {
    let mounts = parse_mounts(MOUNTINFO);
    let cpu = mount_at(&mounts, "/sys/fs/cgroup/cpu").unwrap();
    assert_eq!((cpu.root.as_path(), cpu.read_only, cpu.shared), (Path::new("/docker/abc"), true, false));
    assert!(!cpu.filesystem_read_only && !cpu.is_writable());
    assert_eq!(cpu.options, ["rw", "cpu"]);
}

#[test]
fn octal_digits_are_bytes_and_other_backslashes_are_themselves() {
    let mounts = parse_mounts(MOUNTINFO);
    assert!(mount_at(&mounts, "/srv/my data").unwrap().shared);
    assert!(mount_at(&mounts, "/srv/back\\slash\\09").is_some());
}

#[test]
fn the_deepest_is_unmounted_first() {
    let points = points_below(&parse_mounts(MOUNTINFO), Path::new("/var/lib/docker"));
    assert_eq!(points, [Path::new("/var/lib/docker/overlay2/a b/merged"), Path::new("/var/lib/docker/x")]);
}

#[test]
fn privileges() {
    let text =
        "Name:\tx\nUid:\t0\t1000\t0\t0\nCapEff:\t00000000a82435fb\nCapBnd:\t1\nNoNewPrivs:\t1\nSeccomp:\t2\n";
    let found = parse_status(text);
    assert_eq!((found.euid, found.bounding), (Some(1000), 1));
    assert!(found.can(21) && found.can(12) && !found.can(24));
    assert!(found.no_new_privs && found.seccomp_filter);
    assert_eq!(parse_status("CapEff: x\nSeccomp_filters:\t2\n"), parse_status(""));
    assert_eq!(status(&Root::default()).unwrap().euid, Some(nix::unistd::geteuid().as_raw()));
}

#[test]
fn signals_count_from_one() {
    let found = parse_status("SigBlk:\t0000000000004000\nSigCgt:\t0000001000000200\n");
    assert!(found.blocks(15) && !found.blocks(14) && !found.blocks(0));
    assert!(found.catches(10) && found.catches(37) && !found.catches(38) && !found.catches(64));
}

#[test]
fn cgroups_of_both_versions() {
    let found = parse_cgroups("12:cpu,cpuacct:/docker/abc\n3:name=systemd:/\n0::/init:x\nbroken\n");
    let found: Vec<_> = found.iter().map(|one| (one.controllers.as_str(), one.path.as_str())).collect();
    assert_eq!(found, [("cpu,cpuacct", "/docker/abc"), ("name=systemd", "/"), ("", "/init:x")]);
}

#[test]
fn directories_of_cgroups_from_our_own_to_the_mount() {
    let found = |groups: &str, mountinfo: &str, controller: &str| -> Vec<String> {
        let directories = cgroup_directories(&parse_cgroups(groups), &parse_mounts(mountinfo), controller);
        directories
            .iter()
            .map(|directory| directory.display().to_string().trim_end_matches('/').to_owned())
            .collect()
    };
    let v1 = "30 25 0:26 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
    assert_eq!(found("4:memory:/docker/abc\n", v1, "memory"), ["/sys/fs/cgroup/memory"]);
    assert_eq!(
        found("4:memory:/docker/abc/leaf\n0::/\n", v1, "memory"),
        ["/sys/fs/cgroup/memory/leaf", "/sys/fs/cgroup/memory"]
    );
    // The machine's whole tree, mounted by the user: the way leads through groups that are not the container's.
    let whole = v1.replace("/docker/abc", "/");
    assert_eq!(found("4:memory:/docker/abc\n", &whole, "memory").len(), 3);
    let v2 = "30 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n";
    assert_eq!(found("0::/init\n", v2, "cpu"), ["/sys/fs/cgroup/init", "/sys/fs/cgroup"]);
    // Mounted from another namespace: its root is outside of our own.
    let foreign = v2.replace(" / /sys", " /../../.. /sys");
    assert_eq!(found("0::/\n", &foreign, "cpu"), ["/sys/fs/cgroup"]);
    // The machine's /sys beside the container's own.
    let beside = v2.to_owned() + &foreign.replace("/sys/fs", "/mnt/sys/fs");
    assert_eq!(found("0::/\n", &beside, "cpu"), ["/sys/fs/cgroup"]);
    assert!(found("0::/\n", "", "cpu").is_empty());
}
