//! Manifests of Kubernetes, and other YAML.

use serde_json::Value;

/// The documents of a text.
///
/// # Panics
/// It is no YAML.
#[must_use]
pub fn documents(text: &str) -> Vec<Value> {
    use serde::Deserialize;
    serde_norway::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).unwrap_or_else(|error| panic!("{error}: {text}")))
        .collect()
}

/// The only document of a text.
///
/// # Panics
/// It is no YAML, or has several documents.
#[must_use]
pub fn document(text: &str) -> Value {
    let mut documents = documents(text);
    assert_eq!(documents.len(), 1, "{text}");
    documents.remove(0)
}

/// The elements of a list, which may be missing.
pub fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// The names of an object's fields; the object may be missing.
#[must_use]
pub fn keys(object: &Value) -> Vec<String> {
    object.as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect()
}

/// The texts of a list, which may be missing.
#[must_use]
pub fn words(list: &Value) -> Vec<String> {
    items(list).map(text).collect()
}

/// A text.
///
/// # Panics
/// It is something else.
#[must_use]
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// Whether an init container is a sidecar: one that runs on while the pod's containers do.
#[must_use]
pub fn is_sidecar(container: &Value) -> bool {
    container["restartPolicy"] == "Always"
}
