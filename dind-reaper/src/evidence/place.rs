//! Where evidence is written: a directory of our own, files of our own in it, and never more bytes than are allowed.
//!
//! Whoever else can write there, an inner container for one, may put links in our way. So each name is opened below a descriptor of
//! its directory, files are made anew, and no link is followed.

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::cell::Cell;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Longer names are cut.
const NAME: usize = 64;

/// How many bytes are there, and how many may be.
#[derive(Debug)]
pub(super) struct Space {
    limit: u64,
    used: Cell<u64>,
    /// The first error of a write.
    pub(super) failed: Cell<Option<Errno>>,
}

impl Space {
    /// Whether so many bytes more are within the limit.
    pub(super) fn has(&self, bytes: u64) -> bool {
        self.used.get() + bytes <= self.limit
    }

    pub(super) fn used(&self) -> u64 {
        self.used.get()
    }

    fn add(&self, bytes: u64) {
        self.used.set(self.used.get() + bytes);
    }

    fn free(&self, bytes: u64) {
        self.used.set(self.used.get().saturating_sub(bytes));
    }
}

/// A directory of ours.
#[derive(Debug)]
pub(super) struct Place {
    directory: OwnedFd,
    pub(super) path: PathBuf,
    pub(super) space: Rc<Space>,
}

impl Place {
    /// Makes the node's own directory in the user's, which is made, too, if it is missing. One that is there already is used only
    /// with `again`.
    ///
    /// # Errors
    /// Those of mkdir and open.
    pub(super) fn of_node(parent: &Path, name: &str, limit: u64, again: bool) -> io::Result<Self> {
        std::fs::create_dir_all(parent)?;
        let space = Rc::new(Space { limit, used: Cell::new(0), failed: Cell::new(None) });
        let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let parent_fd = nix::fcntl::open(parent, flags, Mode::empty())?;
        Self::below(&parent_fd, parent, &safe(name), &space, again)
    }

    /// A directory in this one. Its files count for this one.
    ///
    /// # Errors
    /// Those of mkdir and open.
    pub(super) fn sub(&self, name: &str) -> io::Result<Self> {
        Self::below(&self.directory, &self.path, &safe(name), &self.space, true)
    }

    fn below(parent: &OwnedFd, path: &Path, name: &str, space: &Rc<Space>, again: bool) -> io::Result<Self> {
        match mkdirat(parent, name, Mode::S_IRWXU) {
            Err(Errno::EEXIST) if again => {}
            made => made?,
        }
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let directory = openat(parent, name, flags, Mode::empty())?;
        Ok(Self { directory, path: path.join(name), space: space.clone() })
    }

    /// A new file for writing.
    fn create(&self, name: &str) -> Result<File, Errno> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        Ok(openat(&self.directory, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)?.into())
    }

    /// Copies the launcher's record, if there is one. Returns its length, given that of the last copy.
    pub(super) fn copy_record(&self, record: &Path, old: u64) -> u64 {
        std::fs::read(record).map_or(old, |text| self.replace("record.json", &text, old))
    }

    /// Puts a small file in the place of the old one: readers see the old or the new one. Returns how many bytes longer it is,
    /// given what the old one had.
    pub(super) fn replace(&self, name: &str, content: &[u8], old: u64) -> u64 {
        let temporary = format!(".{name}.tmp");
        let write = || -> Result<(), Errno> {
            let _ = unlinkat(&self.directory, temporary.as_str(), UnlinkatFlags::NoRemoveDir);
            let mut file = self.create(&temporary)?;
            file.write_all(content).map_err(errno)?;
            renameat(&self.directory, temporary.as_str(), &self.directory, name)
        };
        match write() {
            Ok(()) => {
                self.space.free(old);
                self.space.add(content.len() as u64);
                content.len() as u64
            }
            Err(error) => {
                let _ = unlinkat(&self.directory, temporary.as_str(), UnlinkatFlags::NoRemoveDir);
                self.space.failed.set(self.space.failed.get().or(Some(error)));
                old
            }
        }
    }

    /// Removes the directory `name` in this one with the files that we may have put into it, of so many bytes.
    pub(super) fn remove(&self, name: &str, bytes: u64) {
        let name = safe(name);
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let Ok(directory) = openat(&self.directory, name.as_str(), flags, Mode::empty()) else { return };
        for file in ["state.json", "log", "log.old"] {
            let _ = unlinkat(&directory, file, UnlinkatFlags::NoRemoveDir);
        }
        let _ = unlinkat(&self.directory, name.as_str(), UnlinkatFlags::RemoveDir);
        self.space.free(bytes);
    }
}

/// A file that grows. When it has reached half of its limit, it becomes `NAME.old`, and that of before goes: the end counts most.
#[derive(Debug)]
pub(super) struct Log {
    name: &'static str,
    file: Option<File>,
    /// Of the present file, and of the old one.
    bytes: [u64; 2],
    half: u64,
    /// What is not there: too much, or not written.
    pub(super) cut: u64,
}

impl Log {
    /// Nothing is made before the first byte.
    pub(super) fn new(name: &'static str, limit: u64) -> Self {
        Self { name, file: None, bytes: [0; 2], half: (limit / 2).max(1), cut: 0 }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes[0] + self.bytes[1]
    }

    /// Adds bytes, as far as there is space. Never fails: what cannot be written is counted.
    pub(super) fn write(&mut self, place: &Place, bytes: &[u8]) {
        if self.bytes[0] >= self.half {
            self.turn(place);
        }
        let length = bytes.len() as u64;
        if !place.space.has(length) {
            self.cut += length;
            return;
        }
        let written = match &mut self.file {
            Some(file) => file.write_all(bytes).map_err(errno),
            None => place.create(self.name).and_then(|mut file| {
                let written = file.write_all(bytes).map_err(errno);
                self.file = Some(file);
                written
            }),
        };
        match written {
            Ok(()) => {
                self.bytes[0] += length;
                place.space.add(length);
            }
            Err(error) => {
                self.cut += length;
                place.space.failed.set(place.space.failed.get().or(Some(error)));
            }
        }
    }

    fn turn(&mut self, place: &Place) {
        self.file = None;
        let old = format!("{}.old", self.name);
        if renameat(&place.directory, self.name, &place.directory, old.as_str()).is_ok() {
            place.space.free(self.bytes[1]);
            self.cut += self.bytes[1];
            self.bytes = [0, self.bytes[0]];
        }
    }
}

/// A name that is one, whatever it was made of.
pub(super) fn safe(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let text: String = name.chars().map(plain).take(2 * NAME).collect();
    let text = text.trim_start_matches('.');
    if text.is_empty() { "_".to_owned() } else { text.to_owned() }
}

/// The directory of a container: its name, so that people find it, and the beginning of its id, so that it is the only one.
pub(super) fn directory_of(name: &str, id: &str) -> String {
    let name: String = name.chars().take(NAME).collect();
    safe(&format!("{name}-{}", id.get(..12).unwrap_or(id)))
}

fn errno(error: io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn names_are_safe_whatever_the_container_is_called() {
        assert_eq!(directory_of("web_1", "0123456789abcdef"), "web_1-0123456789ab");
        assert_eq!(directory_of("../../etc", "ab"), "_.._etc-ab");
        assert_eq!(directory_of("a/b\n", "../x"), "a_b_-.._x");
        assert_eq!((safe(".."), safe(""), safe("ä")), ("_".to_owned(), "_".to_owned(), "_".to_owned()));
        assert!(directory_of(&"x".repeat(4000), "0123456789abcdef").len() < 100);
    }

    #[test]
    fn no_link_is_followed() {
        let (directory, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        symlink(outside.path(), directory.path().join("node")).unwrap();
        assert!(Place::of_node(directory.path(), "node", 1000, true).is_err());
        let place = Place::of_node(directory.path(), "other", 1000, false).unwrap();
        assert!(Place::of_node(directory.path(), "other", 1000, false).is_err(), "that of another run");
        fs::write(outside.path().join("victim"), "untouched").unwrap();
        for name in ["log", "state.json", ".state.json.tmp"] {
            symlink(outside.path().join("victim"), directory.path().join("other").join(name)).unwrap();
        }
        let mut log = Log::new("log", 100);
        log.write(&place, b"text");
        assert_eq!((log.cut, log.bytes(), place.space.failed.get()), (4, 0, Some(Errno::EEXIST)));
        assert_eq!(place.replace("state.json", b"{}", 0), 2);
        assert_eq!(fs::read_to_string(outside.path().join("victim")).unwrap(), "untouched");
        assert_eq!(fs::read_to_string(directory.path().join("other/state.json")).unwrap(), "{}");
    }

    #[test]
    fn a_log_keeps_its_end_and_the_whole_keeps_its_limit() {
        let directory = tempfile::tempdir().unwrap();
        let place = Place::of_node(directory.path(), "node", 45, false).unwrap();
        let mut log = Log::new("log", 20);
        for n in 0..7 {
            log.write(&place, format!("line{n}").as_bytes());
        }
        let read = |name: &str| fs::read_to_string(place.path.join(name)).unwrap();
        assert_eq!((read("log.old"), read("log")), ("line4line5".to_owned(), "line6".to_owned()));
        assert_eq!((log.cut, log.bytes(), place.space.used()), (20, 15, 15));
        let mut other = Log::new("other", 1000);
        other.write(&place, &[b'x'; 30]);
        other.write(&place, b"y");
        assert_eq!((other.cut, place.space.used()), (1, 45));
    }
}
