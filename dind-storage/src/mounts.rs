//! `/proc/self/mountinfo` (proc_pid_mountinfo(5)).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Major and minor number of the file system's device.
    pub device: (u64, u64),
    /// Where it is mounted.
    pub point: PathBuf,
    /// Whether it cannot be written to: asked for, or because of errors.
    pub read_only: bool,
    /// Whether mounts below it appear in other mounts of its peer group.
    pub shared: bool,
    /// File system type.
    pub kind: String,
    /// What was mounted.
    pub source: String,
}

/// Reads all lines, in mount order; a line that does not parse is left out.
#[must_use]
pub fn parse(text: &str) -> Vec<Mount> {
    text.lines().filter_map(line).collect()
}

/// The mount that a path lies in: the deepest, and of several at one point the one on top.
#[must_use]
pub fn carrying<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    mounts
        .iter()
        .filter(|mount| path.starts_with(&mount.point))
        .max_by_key(|mount| mount.point.components().count())
}

/// The mount on top at exactly this point.
#[must_use]
pub fn at<'a>(mounts: &'a [Mount], point: &Path) -> Option<&'a Mount> {
    mounts.iter().rfind(|mount| mount.point == point)
}

/// Mount points strictly below a folder, in the order in which they can be unmounted.
#[must_use]
pub fn below(mounts: &[Mount], folder: &Path) -> Vec<PathBuf> {
    let inside = |mount: &&Mount| mount.point.starts_with(folder) && mount.point != folder;
    let mut points: Vec<PathBuf> = mounts.iter().filter(inside).map(|mount| mount.point.clone()).collect();
    // Later mounts lie on top of earlier ones at the same point, so the order of equals does not matter.
    points.sort_by_key(|point| std::cmp::Reverse(point.components().count()));
    points
}

fn line(line: &str) -> Option<Mount> {
    let (mount, filesystem) = line.split_once(" - ")?;
    let mut fields = mount.split(' ').skip(2);
    let (major, minor) = fields.next()?.split_once(':')?;
    let (_root, point, flags) = (fields.next()?, fields.next()?, fields.next()?);
    let shared = fields.any(|field| field.starts_with("shared:"));
    let mut filesystem = filesystem.split(' ');
    let (kind, source) = (filesystem.next()?, filesystem.next()?);
    let mut options = flags.split(',').chain(filesystem.next().unwrap_or_default().split(','));
    Some(Mount {
        device: (major.parse().ok()?, minor.parse().ok()?),
        point: PathBuf::from(OsString::from_vec(unescape(point))),
        // After errors, ext4 says `ro`, since Linux 6.15 `emergency_ro`, and `shutdown` after a forced one.
        read_only: options.any(|option| matches!(option, "ro" | "emergency_ro" | "shutdown")),
        shared,
        kind: kind.to_owned(),
        source: String::from_utf8_lossy(&unescape(source)).into_owned(),
    })
}

/// Space, tab, newline and backslash are written as three octal digits.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let digits =
            tail.get(..3).filter(|_| first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
22 1 0:33 / / rw,relatime - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w
30 22 8:1 /volumes/x /var/lib/docker rw,relatime shared:1 master:2 - ext4 /dev/sda1 rw
31 30 7:3 / /var/lib/docker rw,relatime - ext4 /dev/loop3 rw
32 31 0:44 / /var/lib/docker/overlay2/a\\040b/merged rw - overlay overlay rw
33 31 0:45 / /var/lib/docker/x rw - tmpfs tmpfs rw,emergency_ro
nonsense
";

    #[test]
    fn the_deepest_and_uppermost_mount_carries_a_path() {
        let mounts = parse(TEXT);
        assert_eq!(mounts.len(), 5);
        assert_eq!(carrying(&mounts, Path::new("/var/lib")).unwrap().kind, "overlay");
        assert_eq!(carrying(&mounts, Path::new("/var/lib/docker/y")).unwrap().device, (7, 3));
        assert_eq!(carrying(&mounts, Path::new("/var/lib/docker2")).unwrap().device, (0, 33));
        assert_eq!(at(&mounts, Path::new("/var/lib/docker")).unwrap().source, "/dev/loop3");
        assert_eq!(at(&mounts, Path::new("/var/lib")), None);
        assert!(mounts[1].shared && !mounts[2].shared);
        assert!(mounts[4].read_only && !mounts[2].read_only);
    }

    #[test]
    fn the_deepest_is_unmounted_first() {
        let points = below(&parse(TEXT), Path::new("/var/lib/docker"));
        assert_eq!(
            points,
            [Path::new("/var/lib/docker/overlay2/a b/merged"), Path::new("/var/lib/docker/x")]
        );
    }
}
