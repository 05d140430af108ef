//! A published port that does not answer: on a bridged node without dockerd's proxy, where the kernel does not show bridged packets to
//! iptables. The answer of an inner container goes over the bridge straight to an outer one, which has asked the node's address.

use super::args::DaemonArgs;
use dind_contract::Warning;
use dind_system::Root;
use serde_json::{Map, Value};

/// Whether bridged packets pass through iptables; missing where the module is not loaded (kernel, ip-sysctl).
const BRIDGED_PACKETS: &str = "/proc/sys/net/bridge/bridge-nf-call-iptables";

/// The warning, where it is so. `config` is the merged `daemon.json`.
#[must_use]
pub fn warning(root: &Root, config: &Map<String, Value>, args: &DaemonArgs) -> Option<Warning> {
    let off = config.get("userland-proxy") == Some(&Value::Bool(false))
        || args.words.iter().any(|word| word == "--userland-proxy=false");
    let bridged = config.contains_key("fixed-cidr");
    let seen = root.read(BRIDGED_PACKETS).is_ok_and(|text| text.trim() == "1");
    (off && bridged && !seen).then(|| {
        Warning::new(
            "published-ports-unanswered",
            "published ports do not answer containers of the outer network: userland-proxy is false, the node is bridged, \
             and net.bridge.bridge-nf-call-iptables is not 1",
            "leave userland-proxy on, or load br_netfilter on the machine and set that sysctl to 1 for this network namespace",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::args;
    use serde_json::json;
    use std::fs;

    #[test]
    fn all_three_make_it_so() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        let warns = |config: Value, words: &str| {
            warning(&root, config.as_object().unwrap(), &args::parse(words).unwrap()).is_some()
        };
        assert!(warns(json!({"fixed-cidr": "10.77.1.0/24", "userland-proxy": false}), ""));
        assert!(warns(json!({"fixed-cidr": "10.77.1.0/24"}), "--userland-proxy=false"));
        assert!(!warns(json!({"fixed-cidr": "10.77.1.0/24"}), ""));
        assert!(!warns(json!({"userland-proxy": false}), ""));
        fs::create_dir_all(directory.path().join("proc/sys/net/bridge")).unwrap();
        fs::write(directory.path().join(&BRIDGED_PACKETS[1..]), "1\n").unwrap();
        assert!(!warns(json!({"fixed-cidr": "10.77.1.0/24", "userland-proxy": false}), ""));
    }
}
