//! The pods that `doctor --run-flags --for kubernetes` prints.

use dind_tests::bin;
use dind_tests::manifest::{documents, items};
use dind_tests::outer::{image, setting};
use serde_json::{Value, json};
use std::process::Command;

/// The name of the container in them.
pub(crate) const NODE: &str = "node";

/// A printed pod, and the seccomp profile that it names.
#[derive(Clone, Debug)]
pub(crate) struct Set {
    /// The pod's `spec`, with the image under test.
    pub(crate) spec: Value,
    /// What is to be in the file that the pod has the name of.
    pub(crate) profile: Value,
}

impl Set {
    /// The one of this name.
    pub(crate) fn printed(name: &str) -> Self {
        let mut doctor = Command::new(bin("dind-launch"));
        doctor.args(["doctor", "--run-flags", "--for", "kubernetes"]);
        let output = doctor.output().unwrap();
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        let result = &document["result"];
        let set = items(&result["run_flags"]).find(|set| set["name"] == name);
        let manifest = set.unwrap_or_else(|| panic!("no `{name}`: {document}"))["manifest"].as_str().unwrap();
        let pod = documents(manifest).into_iter().find(|document| document["kind"] == "Pod").unwrap();
        let mut set = Self { spec: pod["spec"].clone(), profile: result["seccomp_profile"].clone() };
        assert_eq!(set.node()["image"], "dind:dev", "{manifest}");
        set.node()["image"] = image().into();
        // The inner image, which a node would pull.
        set.volume("preload", &json!({"hostPath": {"path": setting("DIND_TEST_PRELOAD")}}), "/preload");
        set.variable("DIND_PRELOAD", "/preload")
    }

    /// The only container.
    pub(crate) fn node(&mut self) -> &mut Value {
        &mut self.spec["containers"][0]
    }

    /// One more volume.
    pub(crate) fn volume(&mut self, name: &str, source: &Value, path: &str) {
        let mut volume = source.clone();
        volume["name"] = name.into();
        push(&mut self.spec["volumes"], volume);
        push(&mut self.node()["volumeMounts"], json!({"name": name, "mountPath": path}));
    }

    /// One more variable.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        push(&mut self.node()["env"], json!({"name": name, "value": value}));
        self
    }

    /// The main process.
    pub(crate) fn command(mut self, words: &[&str]) -> Self {
        self.node()["args"] = json!(words);
        self
    }
}

fn push(list: &mut Value, element: Value) {
    if !list.is_array() {
        *list = json!([]);
    }
    list.as_array_mut().unwrap().push(element);
}
