//! Files with everything that a layer's files can have, and what is compared of them.

use dind_tests::store::sha256;
use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{Mode, SFlag, UtimensatFlags, makedev, mknod, utimensat};
use nix::sys::time::TimeSpec;
use rustix::fs::{XattrFlags, lgetxattr, llistxattr, lsetxattr};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};

/// What is compared of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    mode: u32,
    owner: (u32, u32),
    device: u64,
    modified: (i64, i64),
    /// Digest of the content, or what a symbolic link leads to.
    content: String,
    /// The first of its names.
    first_name: PathBuf,
    pub(crate) attributes: BTreeMap<String, Vec<u8>>,
}

impl Seen {
    /// As a file system has it that knows no parts of a second.
    pub(crate) fn whole_seconds(&mut self) {
        self.modified.1 = 0;
    }
}

/// All files of a tree, with the tree itself.
pub(crate) fn see(tree: &Path) -> BTreeMap<PathBuf, Seen> {
    let mut names = vec![PathBuf::new()];
    let mut below = vec![PathBuf::new()];
    while let Some(directory) = below.pop() {
        for entry in fs::read_dir(tree.join(&directory)).unwrap() {
            let entry = entry.unwrap();
            let name = directory.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                below.push(name.clone());
            }
            names.push(name);
        }
    }
    names.sort();
    let mut first_names = BTreeMap::new();
    let mut seen = BTreeMap::new();
    for name in names {
        let path = tree.join(&name);
        let meta = fs::symlink_metadata(&path).unwrap();
        let first_name = first_names.entry(meta.ino()).or_insert_with(|| name.clone()).clone();
        let content = match meta.file_type() {
            kind if kind.is_file() => sha256(fs::read(&path).unwrap()),
            kind if kind.is_symlink() => fs::read_link(&path).unwrap().display().to_string(),
            _ => String::new(),
        };
        let one = Seen {
            mode: meta.mode(),
            owner: (meta.uid(), meta.gid()),
            device: meta.rdev(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            content,
            first_name,
            attributes: attributes(&path),
        };
        seen.insert(name, one);
    }
    seen
}

fn attributes(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut buffer = vec![0; 64 << 10];
    let length = llistxattr(path, buffer.as_mut_slice()).unwrap();
    let names = buffer[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let names: Vec<String> = names.map(|name| String::from_utf8(name.to_vec()).unwrap()).collect();
    let value = |name: &String| {
        let mut value = vec![0; 64 << 10];
        let length = lgetxattr(path, name.as_str(), value.as_mut_slice()).unwrap();
        value[..length].to_vec()
    };
    names.iter().map(|name| (name.clone(), value(name))).collect()
}

pub(crate) fn set_attribute(path: &Path, name: &str, value: &[u8]) {
    lsetxattr(path, name, value, XattrFlags::empty()).unwrap();
}

/// Gives a file an access control list: user 5 may read and write.
pub(crate) fn set_acl(path: &Path, name: &str) {
    // acl(5) in its binary form (linux/posix_acl_xattr.h): version 2, and entries of tag, permissions and id.
    const NOBODY: u32 = u32::MAX;
    let entries = [(1_u16, 6_u16, NOBODY), (2, 6, 5), (4, 4, NOBODY), (0x10, 6, NOBODY), (0x20, 4, NOBODY)];
    let mut value = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        value.extend(tag.to_le_bytes().iter().chain(&permissions.to_le_bytes()).chain(&id.to_le_bytes()));
    }
    set_attribute(path, name, &value);
}

pub(crate) fn device(path: &Path, kind: SFlag, number: (u64, u64)) {
    mknod(path, kind, Mode::from_bits_truncate(0o640), makedev(number.0, number.1)).unwrap();
}

fn set_time(path: &Path, seconds: i64, nanoseconds: i64) {
    let time = TimeSpec::new(seconds, nanoseconds);
    utimensat(AT_FDCWD, path, &time, &time, UtimensatFlags::NoFollowSymlink).unwrap();
}

/// How long the file with holes is, and how much of it holds something.
pub(crate) const SPARSE: (u64, u64) = (8 << 20, 4096);

/// Fills the lowest layer: everything that a file can have, apart from access control lists.
pub(crate) fn fill_base(diff: &Path) {
    let at = |name: &str| diff.join(name);
    fs::create_dir_all(at("etc/deep/er")).unwrap();
    fs::create_dir(at("gone")).unwrap();
    fs::write(at("etc/hosts"), "127.0.0.1 localhost\n").unwrap();
    fs::write(at("gone/file"), "hidden by the layer above").unwrap();
    fs::write(at("large"), vec![7; 300_000]).unwrap();
    fs::write(at("empty"), "").unwrap();
    fs::write(diff.join(OsStr::from_bytes(b"not \xff UTF-8\n")), "named oddly").unwrap();
    // Names of one file, also in other directories, and of one link.
    fs::hard_link(at("large"), at("etc/deep/large")).unwrap();
    fs::hard_link(at("large"), at("a name before")).unwrap();
    symlink("../etc/hosts", at("etc/link")).unwrap();
    fs::hard_link(at("etc/link"), at("etc/deep/link")).unwrap();
    symlink("/nowhere", at("dangling")).unwrap();
    // An owner takes set-user-id and capabilities away, so both come after it.
    fs::write(at("su"), "#!").unwrap();
    chown(at("su"), Some(100_000), Some(65534)).unwrap();
    fs::set_permissions(at("su"), fs::Permissions::from_mode(0o6755)).unwrap();
    fs::write(at("ping"), "#!").unwrap();
    // struct vfs_cap_data, version 2: CAP_NET_RAW, permitted and effective (linux/capability.h).
    let capability = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    set_attribute(&at("ping"), "security.capability", &capability);
    set_attribute(&at("etc/hosts"), "user.note", &[9; 900]);
    set_attribute(&at("etc/hosts"), "user.empty", b"");
    set_attribute(&at("etc"), "trusted.overlay.opaque", b"y");
    set_attribute(&at("dangling"), "trusted.note", b"of a link");
    lchown(at("dangling"), Some(5), Some(6)).unwrap();
    device(&at("null"), SFlag::S_IFCHR, (1, 3));
    device(&at("disk"), SFlag::S_IFBLK, (8, 1));
    device(&at("fifo"), SFlag::S_IFIFO, (0, 0));
    device(&at("socket"), SFlag::S_IFSOCK, (0, 0));
    let mut sparse = File::create(at("sparse")).unwrap();
    sparse.seek(SeekFrom::Start(SPARSE.0 / 2)).unwrap();
    sparse.write_all(&[1; SPARSE.1 as usize]).unwrap();
    sparse.set_len(SPARSE.0).unwrap();
    set_time(&at("ping"), 1_000_000_000, 123_456_789);
    set_time(&at("dangling"), 981_173_106, 5);
    set_time(&at("null"), 2_000_000_000, 0);
    fs::set_permissions(at("etc/deep"), fs::Permissions::from_mode(0o1700)).unwrap();
    // Directories last: what is made in them changes their times.
    set_time(&at("etc/deep"), 1_100_000_000, 7);
    set_time(diff, 1_200_000_000, 8);
}

/// Fills a layer that hides files of the one beneath.
pub(crate) fn fill_top(diff: &Path) {
    device(&diff.join("gone"), SFlag::S_IFCHR, (0, 0));
    fs::write(diff.join("new"), "file").unwrap();
}
