//! What a Go program says of itself in its file, without being run: to ask `dockerd --version` takes as long as a sixth of its start.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The section with the name of the main package (Go, src/debug/buildinfo).
const SECTION: &[u8] = b".go.buildinfo\0";
/// Before the name of the main package.
const MAIN_PACKAGE: &[u8] = b"path\t";
/// dockerd's up to version 28.
const DOCKERD_BEFORE_29: &str = "github.com/docker/docker/cmd/dockerd";
/// dockerd's since then (moby, go.mod of v29).
const DOCKERD_FROM_29: &str = "github.com/moby/moby/v2/cmd/dockerd";
/// containerd's from version 2 on.
const CONTAINERD_2: &str = "github.com/containerd/containerd/v2/cmd/containerd";
/// Before the version of containerd's interface that containerd is built with: `v1.8.0` for 2.0, up to `v1.11.0` for 2.3 (containerd,
/// go.mod of each release). Builds of distributions may leave it out.
const CONTAINERD_API: &[u8] = b"dep\tgithub.com/containerd/containerd/api\tv1.";
/// That of the first containerd with settings of version 4 (containerd 2.3, version/version.go).
const API_OF_SETTINGS_4: u32 = 11;
/// The section has a few hundred bytes; one of more is something else.
const LIMIT: u64 = 1 << 20;

/// What a dockerd says of its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dockerd {
    /// 28 or older.
    Before29,
    /// 29 or newer.
    From29,
    /// Nothing: it may be any.
    Unknown,
}

/// Reads it.
#[must_use]
pub fn dockerd(program: &Path) -> Dockerd {
    match main_package(program).as_deref() {
        Some(DOCKERD_BEFORE_29) => Dockerd::Before29,
        Some(DOCKERD_FROM_29) => Dockerd::From29,
        _ => Dockerd::Unknown,
    }
}

/// The newest version of settings that a containerd is known to take: it migrates older ones, and warns of it at each start.
#[must_use]
pub fn containerd_settings(program: &Path) -> u32 {
    let Some(info) = info(program) else { return 2 };
    let api = || value(&info, CONTAINERD_API)?.split('.').next()?.parse::<u32>().ok();
    match value(&info, MAIN_PACKAGE).as_deref() {
        Some(CONTAINERD_2) if api().is_some_and(|minor| minor >= API_OF_SETTINGS_4) => 4,
        Some(CONTAINERD_2) => 3,
        _ => 2,
    }
}

/// The name of the package that the program was built from.
fn main_package(program: &Path) -> Option<String> {
    value(&info(program)?, MAIN_PACKAGE)
}

/// What the program says of itself.
fn info(program: &Path) -> Option<Vec<u8>> {
    File::open(program).and_then(|file| section(&file)).ok().flatten()
}

/// What stands after `key`, up to the end of the line or the next column.
fn value(info: &[u8], key: &[u8]) -> Option<String> {
    let start = info.windows(key.len()).position(|window| window == key)? + key.len();
    let rest = &info[start..];
    let end = rest.iter().position(|byte| b"\n\t".contains(byte))?;
    String::from_utf8(rest[..end].to_vec()).ok()
}

/// The section's bytes. Offsets are those of a 64-bit ELF file of this machine's byte order (elf(5)).
fn section(file: &File) -> io::Result<Option<Vec<u8>>> {
    let header = read(file, 0, 64)?;
    if !header.starts_with(b"\x7fELF\x02") {
        return Ok(None);
    }
    let (table, size) = (number(&header, 40, 8), number(&header, 58, 2));
    let (count, names) = (number(&header, 60, 2), number(&header, 62, 2));
    let table = read(file, table, size.saturating_mul(count))?;
    let entry = |index: u64| {
        let from = usize::try_from(index.saturating_mul(size)).unwrap_or(usize::MAX);
        table.get(from..).unwrap_or_default()
    };
    let content = |entry: &[u8]| read(file, number(entry, 24, 8), number(entry, 32, 8));
    let names = content(entry(names))?;
    for index in 0..count {
        let name = usize::try_from(number(entry(index), 0, 4)).unwrap_or(usize::MAX);
        if names.get(name..).is_some_and(|name| name.starts_with(SECTION)) {
            return content(entry(index)).map(Some);
        }
    }
    Ok(None)
}

fn read(file: &File, offset: u64, length: u64) -> io::Result<Vec<u8>> {
    let length = usize::try_from(length.min(LIMIT)).unwrap_or_default();
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}

/// A number of so many bytes; 0 where there are none.
fn number(bytes: &[u8], offset: usize, length: usize) -> u64 {
    let mut number = [0; 8];
    if let Some(found) = bytes.get(offset..offset + length) {
        let start = if cfg!(target_endian = "little") { 0 } else { 8 - length };
        number[start..start + length].copy_from_slice(found);
    }
    u64::from_ne_bytes(number)
}

#[cfg(test)]
mod tests {
    use super::Dockerd::{Before29, From29, Unknown};
    use super::*;

    /// A file with two sections: the names, and one called `section`.
    fn elf(section: &[u8], content: &[u8]) -> Vec<u8> {
        let names = [section, b"\0"].concat();
        let table = 64 + names.len() + content.len();
        let mut file = vec![0; 64];
        file[..5].copy_from_slice(b"\x7fELF\x02");
        file[40..48].copy_from_slice(&table.to_ne_bytes());
        for (offset, value) in [(58, 64_u16), (60, 2), (62, 0)] {
            file[offset..offset + 2].copy_from_slice(&value.to_ne_bytes());
        }
        file.extend_from_slice(&names);
        file.extend_from_slice(content);
        let entry = |name: u32, offset: usize, size: usize| {
            let mut entry = vec![0; 64];
            entry[..4].copy_from_slice(&name.to_ne_bytes());
            entry[24..32].copy_from_slice(&offset.to_ne_bytes());
            entry[32..40].copy_from_slice(&size.to_ne_bytes());
            entry
        };
        // The first one is the list of names, whose own name is the end of that list.
        file.extend(entry(section.len() as u32, 64, names.len()));
        file.extend(entry(0, 64 + names.len(), content.len()));
        file
    }

    #[test]
    fn a_program_is_known_by_its_main_package_and_what_says_nothing_may_be_any() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("program");
        let info = |package: &str| {
            format!("\u{7f} Go buildinf:\x08\x02go1.25.1path\t{package}\nbuild\t-compiler=gc\n")
        };
        let elf_of = |package: &str| elf(b".go.buildinfo", info(package).as_bytes());
        let with_api = |package: &str, version: &str| {
            let api = format!("dep\tgithub.com/containerd/containerd/api\t{version}\th1:x\n");
            elf(b".go.buildinfo", (info(package) + &api).as_bytes())
        };
        for (bytes, version, settings) in [
            (elf_of(DOCKERD_BEFORE_29), Before29, 2),
            (elf_of(DOCKERD_FROM_29), From29, 2),
            (elf_of("github.com/containerd/containerd/cmd/containerd"), Unknown, 2),
            (elf_of(CONTAINERD_2), Unknown, 3),
            (with_api(CONTAINERD_2, "v1.10.0"), Unknown, 3),
            (with_api(CONTAINERD_2, "v1.11.1"), Unknown, 4),
            (with_api(CONTAINERD_2, "v2.0.0"), Unknown, 3),
            (with_api(DOCKERD_FROM_29, "v1.11.1"), From29, 2),
            (elf(b".text", info(DOCKERD_BEFORE_29).as_bytes()), Unknown, 2),
            (elf(b".go.buildinfo", b""), Unknown, 2),
            (b"#!/bin/sh\n".to_vec(), Unknown, 2),
            (b"\x7fELF\x02".to_vec(), Unknown, 2),
            (Vec::new(), Unknown, 2),
        ] {
            std::fs::write(&file, &bytes).unwrap();
            let found = (dockerd(&file), containerd_settings(&file));
            assert_eq!(found, (version, settings), "{:?}", String::from_utf8_lossy(&bytes));
            // Cut off anywhere, it is something else.
            for length in 0..bytes.len() {
                std::fs::write(&file, &bytes[..length]).unwrap();
                assert_eq!((dockerd(&file), containerd_settings(&file)), (Unknown, 2), "{length}");
            }
        }
        assert_eq!(dockerd(&directory.path().join("none")), Unknown);
    }
}
