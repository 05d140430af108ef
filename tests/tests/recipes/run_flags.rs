//! Kubernetes: the pods that `doctor --run-flags --for kubernetes` prints.

use crate::is_valid;
use dind_tests::bin;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// A captured machine, with AppArmor.
const MACHINE: &str = "../dind-launch/tests/cases/32-run-flags-for-kubernetes/root";

#[test]
fn the_pods_that_doctor_prints_follow_the_schemas_of_kubernetes() {
    let mut doctor = Command::new(bin("dind-launch"));
    doctor.args(["doctor", "--run-flags", "--for", "kubernetes", "--root"]);
    let output = doctor.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(MACHINE)).output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let sets = document["result"]["run_flags"].as_array().unwrap_or_else(|| panic!("{output:?}"));
    let manifests: Vec<_> = sets.iter().map(|set| set["manifest"].as_str().unwrap()).collect();
    for manifest in &manifests {
        assert!(is_valid(manifest), "{manifest}");
    }
    let userns = manifests[0];
    for field in ["handler", "hostUsers", "runtimeClassName", "add", "localhostProfile", "appArmorProfile"] {
        let misspelt = userns.replace(&format!("{field}:"), &format!("{field}s:"));
        assert_ne!(misspelt, userns, "there is no {field} in {userns}");
        assert!(!is_valid(&misspelt), "{field} is not looked at: {misspelt}");
    }
}
