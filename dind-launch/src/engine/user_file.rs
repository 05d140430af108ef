//! The user's own `daemon.json`: found and parsed as dockerd does it.

use super::args::DaemonArgs;
use crate::fault;
use dind_contract::Fault;
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

/// Reads it below `root`. The usual file may be missing.
///
/// # Errors
/// [`fault::DAEMON_JSON_INVALID`]: it cannot be read; those of [`parse`].
pub fn read(root: &Root, args: &DaemonArgs) -> Result<Map<String, Value>, Fault> {
    let file = path(args);
    match fs::read(root.path(&file)) {
        Ok(bytes) => parse(&file, &bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound && args.config_file.is_none() => Ok(Map::new()),
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
/// version 23 (moby, `getConflictFreeConfiguration`).
///
/// # Errors
/// [`fault::DAEMON_JSON_INVALID`]: it is not a JSON object.
pub fn parse(file: &Path, bytes: &[u8]) -> Result<Map<String, Value>, Fault> {
    let text = decode(bytes);
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    let parsed: Result<Option<Map<String, Value>>, _> = serde_json::from_str(&text);
    parsed.map(Option::unwrap_or_default).map_err(|error| {
        let hint = "the format is described at docs.docker.com/reference/cli/dockerd";
        fault::DAEMON_JSON_INVALID.cannot("read", file.display(), error).hint(hint)
    })
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
            assert_eq!(Value::Object(parse(Path::new("x"), bytes).unwrap()), expected, "{bytes:?}");
        }
        for bytes in ["{", "[]", "{\"debug\": true,}", "# no"] {
            let fault = parse(Path::new("x"), bytes.as_bytes()).unwrap_err();
            assert_eq!(fault.code, fault::DAEMON_JSON_INVALID, "{bytes}");
        }
    }
}
