//! Our table of firewall rules, put in place and taken away, with a record of what it holds.
//!
//! Forwarding to 127.0.0.11 needs `route_localnet`; the table's own guard drops what that would let in from outside.
//! A table has no process that could die, and ends with its network namespace.

use crate::fault;
use crate::journal::Folder;
use crate::nft::{self, Changed};
use crate::ruleset::{Rules, TABLE};
use dind_contract::{Fault, Root, State, Steps};
use nix::libc::{EACCES, ENOENT, EOPNOTSUPP, EPERM, EPROTONOSUPPORT, EROFS};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

/// The record's name in the state folder.
pub const RECORD: &str = "net-rules.json";
/// Lets packets from other links reach 127.0.0.0/8 (kernel, ip-sysctl).
pub const ROUTE_LOCALNET: &str = "/proc/sys/net/ipv4/conf/all/route_localnet";

/// The step's name.
pub const OP: &str = "make-rules";
/// The name of the step that takes them away.
pub const UNDO: &str = "remove-rules";

/// The step's target.
#[must_use]
pub fn target(rules: &Rules) -> String {
    format!("table ip {TABLE}: {}", rules.words())
}

/// What was put in place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The table's content.
    pub rules: Rules,
    /// Whether `route_localnet` was off before.
    pub route_localnet_was_off: bool,
}

/// Reads the record below `root`; nothing where there is none.
///
/// # Errors
/// [`fault::READ_FAILED`] when it cannot be read. One that cannot be understood counts as none: the table is made anew.
pub fn read(root: &Root, folder: &Path) -> Result<Option<Record>, Fault> {
    let path = folder.join(RECORD);
    let text = root.read_opt(&path).map_err(|error| fault::unreadable(path.display(), error))?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

/// Why rules were not made.
#[derive(Debug)]
pub enum Refused {
    /// The kernel, or the container's rights, have no room for such rules.
    Unsupported(io::Error),
    /// Something failed that should not have.
    Failed(Box<Fault>),
}

/// Whether everything is in place already.
#[must_use]
pub fn in_place(found: Option<&Record>, wanted: &Rules) -> bool {
    found.is_some_and(|record| record.rules == *wanted) && (wanted.names.is_none() || localnet())
}

/// Puts the rules in place of those that were found.
///
/// # Errors
/// [`Refused`]; what was found is in place again.
pub fn make(
    folder: &Folder,
    found: Option<&Record>,
    wanted: &Rules,
    steps: &mut Steps,
) -> Result<(), Refused> {
    let target = target(wanted);
    if in_place(found, wanted) {
        steps.push(OP, target, State::Skipped);
        return Ok(());
    }
    let record = Record {
        rules: wanted.clone(),
        route_localnet_was_off: found.map_or(!localnet(), |record| record.route_localnet_was_off),
    };
    let failed = |object: &dyn std::fmt::Display, error: io::Error| {
        Refused::Failed(Box::new(
            fault::RULES_FAILED
                .cannot("make", object, error)
                .hint("run it again; where it stays so, name reachable servers with DIND_NET_DNS"),
        ))
    };
    folder.write_json(RECORD, &record).map_err(|error| failed(&folder.join(RECORD).display(), error))?;
    let done = put(wanted).and_then(|_| match wanted.names {
        Some(_) if !localnet() => std::fs::write(ROUTE_LOCALNET, "1"),
        _ => Ok(()),
    });
    let Err(error) = done else {
        steps.push(OP, target, State::Done);
        return Ok(());
    };
    let undone = restore(folder, found, &record);
    match error.raw_os_error() {
        Some(ENOENT | EOPNOTSUPP | EPROTONOSUPPORT | EROFS | EACCES | EPERM) if undone.is_ok() => {
            Err(Refused::Unsupported(error))
        }
        _ => Err(failed(&format!("table ip {TABLE}"), error)),
    }
}

/// Puts what was found in the place of what was made.
///
/// # Errors
/// The kernel's, and the folder's.
pub fn restore(folder: &Folder, found: Option<&Record>, made: &Record) -> io::Result<()> {
    let Some(found) = found else { return remove(folder, made).map(drop) };
    folder.write_json(RECORD, found)?;
    drop(put(&found.rules)?);
    if found.rules.names.is_none() && made.route_localnet_was_off && localnet() {
        std::fs::write(ROUTE_LOCALNET, "0")?;
    }
    Ok(())
}

/// Takes everything away; what is not there is no error.
///
/// # Errors
/// The kernel's, and the folder's.
pub fn remove(folder: &Folder, made: &Record) -> io::Result<Changed> {
    if made.rules.names.is_some() && made.route_localnet_was_off && localnet() {
        std::fs::write(ROUTE_LOCALNET, "0")?;
    }
    let changed = put(&Rules::default())?;
    folder.remove(RECORD)?;
    Ok(changed)
}

/// These rules instead of whatever of ours is there.
fn put(rules: &Rules) -> io::Result<Changed> {
    nft::change(|there| rules.transaction(there))
}

fn localnet() -> bool {
    std::fs::read_to_string(ROUTE_LOCALNET).is_ok_and(|text| text.trim() == "1")
}
