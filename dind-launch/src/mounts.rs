//! `/proc/self/mountinfo`, as far as a launcher needs it (proc_pid_mountinfo(5)).

use crate::fault;
use dind_contract::{Fault, Root};

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The folder of the filesystem that is mounted here.
    pub root: String,
    /// Where it is mounted.
    pub point: String,
    /// Whether this mount is read-only, whatever the filesystem is.
    pub read_only: bool,
    /// Whether mounts below it appear in other mounts of its peer group.
    pub shared: bool,
    /// Filesystem type.
    pub kind: String,
    /// The filesystem's own options, such as a cgroup's controllers.
    pub options: Vec<String>,
}

/// Reads the mounts that this process sees.
///
/// # Errors
/// /proc is not mounted.
pub fn read(root: &Root) -> Result<Vec<Mount>, Fault> {
    const FILE: &str = "/proc/self/mountinfo";
    let text = root.read(FILE);
    text.map(|text| parse(&text))
        .map_err(|error| fault::PREPARE_FAILED.cannot("read", FILE, error).hint("mount /proc"))
}

/// Reads all lines, in mount order; a line that does not parse is left out.
#[must_use]
pub fn parse(text: &str) -> Vec<Mount> {
    text.lines().filter_map(line).collect()
}

fn line(line: &str) -> Option<Mount> {
    let (mount, filesystem) = line.split_once(" - ")?;
    let mut fields = mount.split(' ').skip(3);
    let (root, point, flags) = (fields.next()?, fields.next()?, fields.next()?);
    let shared = fields.any(|field| field.starts_with("shared:"));
    let mut filesystem = filesystem.split(' ');
    let kind = filesystem.next()?.to_owned();
    let options = filesystem.nth(1).unwrap_or_default().split(',').map(str::to_owned).collect();
    Some(Mount {
        root: unescape(root),
        point: unescape(point),
        read_only: flags.split(',').any(|flag| flag == "ro"),
        shared,
        kind,
        options,
    })
}

/// Space, tab, newline and backslash are written as three octal digits.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let octal =
            tail.get(..3).and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        match (first, octal) {
            (b'\\', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The mount that is visible at exactly this path: the last one hides the others.
#[must_use]
pub fn at<'a>(mounts: &'a [Mount], point: &str) -> Option<&'a Mount> {
    mounts.iter().rev().find(|mount| mount.point == point)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_container() {
        let text = "\
1 0 0:30 / / rw,relatime - overlay overlay rw,lowerdir=/a:/b\n\
30 25 0:26 /docker/abc /sys/fs/cgroup/cpu ro,nosuid,nodev,noexec master:9 - cgroup cgroup rw,cpu\n\
31 1 8:1 /v /srv/my\\040data rw shared:7 - ext4 /dev/sda1 rw\n\
broken\n";
        let mounts = parse(text);
        assert_eq!(mounts.len(), 3);
        let cpu = at(&mounts, "/sys/fs/cgroup/cpu").unwrap();
        assert_eq!((cpu.root.as_str(), cpu.read_only, cpu.shared), ("/docker/abc", true, false));
        assert!(cpu.options.contains(&"cpu".to_owned()));
        assert!(at(&mounts, "/srv/my data").unwrap().shared);
    }
}
