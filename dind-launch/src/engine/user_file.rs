//! The user's own `daemon.json`: found and parsed as dockerd does it.

use super::args::DaemonArgs;
use super::version;
use crate::fault;
use dind_contract::{Fault, Warning};
use dind_system::Root;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Where Docker looks for it.
const DEFAULT_FILE: &str = "/etc/docker/daemon.json";

/// Its path: `--config-file` in `DOCKER_DAEMON_ARGS` names another one.
#[must_use]
pub fn path(args: &DaemonArgs) -> PathBuf {
    args.config_file.clone().unwrap_or_else(|| DEFAULT_FILE.into())
}

/// The first engine that reads the whole file. Those before it stop behind the first JSON value (moby,
/// `getConflictFreeConfiguration`: `json.Decoder` before 23.0, `json.Unmarshal` since).
const READS_ALL: u32 = 23;

/// Reads it below `root`, with a warning of what is ignored in it. The usual file may be missing.
///
/// # Errors
/// [`fault::DAEMON_JSON_INVALID`]: it cannot be read; those of [`parse`].
pub fn read(root: &Root, args: &DaemonArgs) -> Result<(Map<String, Value>, Option<Warning>), Fault> {
    let file = path(args);
    // Only asked where the answer matters: dockerd takes a sixth of a whole start to say it.
    let reads_all = || {
        let version = Some(()).filter(|()| root.is_host()).and_then(|()| version::installed());
        version.and_then(|version| version::major(&version)).is_none_or(|major| major >= READS_ALL)
    };
    match fs::read(root.path(&file)) {
        Ok(bytes) => parse(&file, &bytes, &reads_all),
        Err(error) if error.kind() == io::ErrorKind::NotFound && args.config_file.is_none() => {
            Ok((Map::new(), None))
        }
        Err(error) => {
            // `docker run -v FILE:…` makes a directory where there is no such file.
            let hint = match error.kind() {
                io::ErrorKind::IsADirectory => {
                    "mount a file: the one that was mounted did not exist on the host"
                }
                _ => "mount the file, or remove --config-file",
            };
            Err(fault::DAEMON_JSON_INVALID.cannot("read", file.display(), error).hint(hint))
        }
    }
}

/// Parses it. A file that is empty sets nothing, and a byte order mark is no part of the text: dockerd takes both since
/// version 23 (moby, `getConflictFreeConfiguration`). What follows the first value is an error for an engine that reads it.
///
/// # Errors
/// [`fault::DAEMON_JSON_INVALID`]: it is not a JSON object.
pub fn parse(
    file: &Path,
    bytes: &[u8],
    reads_all: &dyn Fn() -> bool,
) -> Result<(Map<String, Value>, Option<Warning>), Fault> {
    let text = decode(bytes);
    if text.trim().is_empty() {
        return Ok((Map::new(), None));
    }
    let error = match serde_json::from_str::<Option<Map<String, Value>>>(&text) {
        Ok(whole) => return Ok((whole.unwrap_or_default(), None)),
        Err(error) => error,
    };
    let mut values = serde_json::Deserializer::from_str(&text).into_iter::<Option<Map<String, Value>>>();
    match values.next() {
        Some(Ok(first)) if !reads_all() => {
            let line = text[..values.byte_offset()].lines().count();
            let message = format!(
                "the engine ignores what follows the JSON value that ends in line {line} of {}",
                file.display()
            );
            let hint = "write one JSON object: an engine of version 23 or later refuses this file";
            Ok((first.unwrap_or_default(), Some(Warning::new("setting-ignored", message, hint))))
        }
        _ => {
            let hint = "the format is described at docs.docker.com/reference/cli/dockerd";
            Err(fault::DAEMON_JSON_INVALID.cannot("read", file.display(), error).hint(hint))
        }
    }
}

fn decode(bytes: &[u8]) -> String {
    let utf16 = |bytes: &[u8], word: fn([u8; 2]) -> u16| {
        let words: Vec<u16> = bytes.chunks_exact(2).map(|pair| word([pair[0], pair[1]])).collect();
        String::from_utf16_lossy(&words)
    };
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        bytes => String::from_utf8_lossy(bytes).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_dockerd_takes_for_a_file() {
        let utf16: Vec<u8> = "\u{feff}{\"debug\": true}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = "\u{feff}{}".encode_utf16().flat_map(u16::to_be_bytes).collect();
        for (bytes, expected) in [
            (&b"{\"debug\": true}\n"[..], json!({"debug": true})),
            (b"\xef\xbb\xbf{\"debug\": true}", json!({"debug": true})),
            (&utf16, json!({"debug": true})),
            (&big, json!({})),
            (b"", json!({})),
            (b" \n", json!({})),
            (b"null", json!({})),
        ] {
            let (map, warning) = parse(Path::new("x"), bytes, &|| true).unwrap();
            assert_eq!((Value::Object(map), warning), (expected, None), "{bytes:?}");
        }
        for reads_all in [true, false] {
            for bytes in ["{", "[]", "{\"debug\": true,}", "# no", "[] {}"] {
                let fault = parse(Path::new("x"), bytes.as_bytes(), &|| reads_all).unwrap_err();
                assert_eq!(fault.code, fault::DAEMON_JSON_INVALID, "{bytes}");
            }
        }
    }

    #[test]
    fn what_follows_the_first_value_is_for_engines_that_read_it() {
        for bytes in
            ["{\"debug\":\ntrue}\n{\"mtu\": 1400}", "{\"debug\":\ntrue}}", "{\"debug\":\ntrue} # yes"]
        {
            let (map, warning) = parse(Path::new("x"), bytes.as_bytes(), &|| false).unwrap();
            assert_eq!(Value::Object(map), json!({"debug": true}), "{bytes}");
            assert!(warning.unwrap().message.contains("line 2 of x"), "{bytes}");
            let fault = parse(Path::new("x"), bytes.as_bytes(), &|| true).unwrap_err();
            assert!(fault.message.contains("trailing characters"), "{fault}");
        }
    }
}
