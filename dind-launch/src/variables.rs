//! Variables that nobody reads: misspelt ones start a node of the wrong kind, without a word.

use dind_contract::Warning;

/// What the four tools read. A test compares the list with their help.
pub const KNOWN: &[&str] = &[
    "DIND_ALLOW_HOST_DEVICES",
    "DIND_DATA_ROOT",
    "DIND_ENGINE_RESTART",
    "DIND_ENGINE_VERSION",
    "DIND_EVIDENCE",
    "DIND_EVIDENCE_SIZE",
    "DIND_HOLD",
    "DIND_INSECURE_TCP",
    "DIND_MAIN_STOP_SIGNAL",
    "DIND_MESOS_DEFAULTS",
    "DIND_NET_ACCEPT_FWMARK",
    "DIND_NET_ADDRESS_POOLS",
    "DIND_NET_BIP",
    "DIND_NET_BRIDGE",
    "DIND_NET_DNS",
    "DIND_NET_FIREWALL",
    "DIND_NET_FORWARD",
    "DIND_NET_IPTABLES",
    "DIND_NET_IPV6",
    "DIND_NET_MTU",
    "DIND_NET_POOL",
    "DIND_NET_PROBE",
    "DIND_NET_RECORD_RENEWED",
    "DIND_NET_STATE",
    "DIND_NET_UPLINK",
    "DIND_OUTPUT",
    "DIND_PRELOAD",
    "DIND_PRELOAD_WAIT",
    "DIND_READY_TIMEOUT",
    "DIND_ROOT",
    "DIND_RUN_FLAGS",
    "DIND_RUN_FLAGS_FOR",
    "DIND_SECCOMP",
    "DIND_STAGES",
    "DIND_STOP_BUDGET",
    "DIND_STORAGE_BACKING",
    "DIND_STORAGE_DRIVER",
    "DIND_STORAGE_FS",
    "DIND_STORAGE_IMAGE",
    "DIND_STORAGE_IMAGE_FROM",
    "DIND_STORAGE_RECLAIM",
    "DIND_STORAGE_SEED",
    "DIND_STORAGE_SEED_MISSING",
    "DIND_STORAGE_SEED_RESTORE",
    "DIND_STORAGE_SPARSE",
    "DIND_STORAGE_STORE",
    "DIND_TMP",
    "DIND_TOOLS",
    "DIND_USERNS",
    "DOCKER_DAEMON_ARGS",
    "DOCKER_HOST",
    "DOCKER_NETWORK_OFFSET",
    "DOCKER_NETWORK_OFFSET6",
    "DOCKER_NETWORK_SIZE",
    "DOCKER_NETWORK_SIZE6",
    "DOCKER_TLS_CERTDIR",
    "DOCKER_TLS_SAN",
    "LOG",
    "VAR_LIB_DOCKER_SIZE",
];

/// What people set in the belief that somebody reads it, and what does.
const MEANT: [(&str, &str); 6] = [
    ("DOCKER_OPTS", "DOCKER_DAEMON_ARGS"),
    ("DOCKER_EXTRA_OPTS", "DOCKER_DAEMON_ARGS"),
    ("DOCKERD_ARGS", "DOCKER_DAEMON_ARGS"),
    ("DOCKERD_OPTS", "DOCKER_DAEMON_ARGS"),
    ("DOCKER_STORAGE_DRIVER", "DIND_STORAGE_DRIVER"),
    ("DOCKER_STORAGE_OPTIONS", "DOCKER_DAEMON_ARGS"),
];

/// A variable of every Docker client, whose like are none of ours.
const OF_CLIENTS: &str = "DOCKER_HOST";

/// At most so many letters are wrong, missing, or too many in a name that is meant to be another.
const NEAR: usize = 2;

/// Shorter names are near to everything.
const LEAST_LENGTH: usize = 8;

/// Warns of each variable that begins as ours do, or nearly is one of ours, and that no tool reads.
pub fn unknown(names: impl Iterator<Item = String>) -> Vec<Warning> {
    let mut names: Vec<_> = names.filter(|name| !KNOWN.contains(&name.as_str())).collect();
    names.sort();
    names.iter().filter_map(|name| warning(name)).collect()
}

/// Whether Kubernetes or `docker run --link` has set it for a service whose name begins with `dind`.
fn is_of_a_service(name: &str) -> bool {
    name.contains("_SERVICE_")
        || name.contains("_PORT_")
        || name.ends_with("_PORT")
        || name.starts_with("DIND_ENV_")
}

fn warning(name: &str) -> Option<Warning> {
    let message = format!("no tool reads the variable {name}");
    if let Some((_, meant)) = MEANT.iter().find(|(known, _)| *known == name) {
        return Some(Warning::new("variable-unknown", message, format!("set {meant}")));
    }
    let upper = name.to_ascii_uppercase();
    if is_of_a_service(&upper) {
        return None;
    }
    let candidates = KNOWN.iter().filter(|known| known.len() >= LEAST_LENGTH && **known != OF_CLIENTS);
    let (distance, nearest) = candidates.map(|known| (distance(&upper, known), *known)).min()?;
    let ours = upper.starts_with("DIND_");
    // With a prefix of ours it is meant for us, and the nearest name helps even where it is not very near.
    let far = nearest.len() / 3;
    let hint = match distance {
        near if near <= NEAR || (ours && near <= far) => format!("{nearest} is the nearest that there is"),
        _ if ours => "`dind-launch run --help` and the help of the other tools list all of them".to_owned(),
        _ => return None,
    };
    Some(Warning::new("variable-unknown", message, hint))
}

/// Levenshtein's edit distance.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<u8> = other.bytes().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, letter) in one.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, theirs) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *theirs);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_variable_is_named_with_the_nearest() {
        for (name, nearest) in [
            ("DOCKER_NETWORK_OFSET", Some("DOCKER_NETWORK_OFFSET")),
            ("DOCKER_NETWORK_OFFSETS", Some("DOCKER_NETWORK_OFFSET")),
            ("DOCKER_DEAMON_ARGS", Some("DOCKER_DAEMON_ARGS")),
            ("VAR_LIB_DOCKER_SIZ", Some("VAR_LIB_DOCKER_SIZE")),
            ("DIND_STORAGE_BAKING", Some("DIND_STORAGE_BACKING")),
            ("DND_STORAGE_DRIVER", Some("DIND_STORAGE_DRIVER")),
            ("dind_storage_driver", Some("DIND_STORAGE_DRIVER")),
            ("DIND_STORAGE_TYPE", Some("DIND_STORAGE_STORE")),
            ("DIND_X", Some("help")),
            ("DOCKER_OPTS", Some("DOCKER_DAEMON_ARGS")),
            ("DIND_NET_SERVICE_PORT_HTTP", None),
            ("DIND_NET_PORT", None),
            ("LOG_LEVEL", None),
            ("DOCKER_CONFIG", None),
            ("DOCKER_BUILDKIT", None),
            ("DIND_SERVICE_HOST", None),
            ("DIND_PORT_2375_TCP_ADDR", None),
            ("DOCKER_TLS_VERIFY", None),
            ("DOCKER_HOSTS", None),
            ("LOGS", None),
            ("PATH", None),
        ] {
            let hint = warning(name).map(|warning| warning.hint);
            match nearest {
                Some(nearest) => {
                    assert!(hint.as_ref().is_some_and(|hint| hint.contains(nearest)), "{name}: {hint:?}");
                }
                None => assert_eq!(hint, None, "{name}"),
            }
        }
        assert!(unknown(KNOWN.iter().map(|name| (*name).to_owned())).is_empty());
    }
}
