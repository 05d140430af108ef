//! Whether the engine has the images of an archive.
//!
//! A graph driver's store calls an image by the digest of its configuration, and containerd's by that of a manifest or an index. Where
//! the archive does not say which, the image itself is compared: its layers, and all that its configuration says of how it runs.

use super::content::{self, Image};
use super::programs::{ask, client};
use crate::process::{Node, StopReason};
use serde_json::{Deserializer, Value};
use std::path::Path;

/// The settings of an image that both of docker-image-spec's forms have: that in a configuration and that of the engine's API.
const SETTINGS: [&str; 12] = [
    "ArgsEscaped",
    "Cmd",
    "Entrypoint",
    "Env",
    "ExposedPorts",
    "Labels",
    "OnBuild",
    "Shell",
    "StopSignal",
    "User",
    "Volumes",
    "WorkingDir",
];

/// Those of its health check.
const HEALTH_CHECK: [&str; 6] = ["Interval", "Retries", "StartInterval", "StartPeriod", "Test", "Timeout"];

/// Whether the engine has all of these images of an archive, each under its name. False where there are none.
///
/// # Errors
/// The node is to stop.
pub(super) fn has_all(node: &mut Node, archive: &Path, images: &[Image]) -> Result<bool, StopReason> {
    if images.is_empty() {
        return Ok(false);
    }
    let Some(mut pairs) = candidates(node, images)? else { return Ok(false) };
    pairs.retain(|(image, found)| !found.iter().any(|found| has_id(image, found)));
    // In a graph driver's store, the id has been all that there is to compare.
    pairs.iter_mut().for_each(|(_, found)| found.retain(is_of_manifest));
    if pairs.iter().any(|(_, found)| found.is_empty()) {
        return Ok(false);
    }
    let configs = content::configs(node, archive, pairs.iter().map(|(image, _)| *image))?;
    Ok(pairs.iter().all(|(image, found)| {
        let config = image.config.as_ref().and_then(|file| configs.get(file));
        config.is_some_and(|config| found.iter().any(|found| has_content(config, found)))
    }))
}

/// An image of an archive, and what the engine says of those that it may be.
type Candidates<'a> = (&'a Image, Vec<Value>);

/// What may be each of the images: that of its name, or for one without a name, all that the engine has. Nothing where it does not
/// know one of the names.
fn candidates<'a>(node: &mut Node, images: &'a [Image]) -> Result<Option<Vec<Candidates<'a>>>, StopReason> {
    let names = images.iter().filter_map(|image| image.name.as_deref());
    let Some(named) = inspect(node, names)? else { return Ok(None) };
    let mut named = named.into_iter();
    let mut all = Vec::new();
    if images.iter().any(|image| image.name.is_none()) {
        let mut list = client();
        list.args(["image", "ls", "--all", "--quiet", "--no-trunc"]);
        let (_, ids) = ask(node, "docker", list)?;
        all = inspect(node, ids.lines())?.unwrap_or_default();
    }
    let found = |image: &Image| match image.name {
        Some(_) => named.next().into_iter().collect(),
        None => all.clone(),
    };
    let found: Vec<_> = images.iter().map(found).collect();
    Ok(Some(images.iter().zip(found).collect()))
}

/// What the engine says of these images, in their order; nothing where it does not have one of them.
fn inspect<'a>(
    node: &mut Node,
    names: impl Iterator<Item = &'a str>,
) -> Result<Option<Vec<Value>>, StopReason> {
    let names: Vec<_> = names.collect();
    if names.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let mut command = client();
    command.args(["image", "inspect", "--format", "{{json .}}"]).args(&names);
    let (status, printed) = ask(node, "docker", command)?;
    let found: Result<Vec<_>, _> = Deserializer::from_str(&printed).into_iter().collect();
    Ok(found.ok().filter(|found| status == 0 && found.len() == names.len()))
}

fn has_id(image: &Image, found: &Value) -> bool {
    image.ids.iter().any(|id| found["Id"] == id.as_str())
}

/// Whether an image's id is the digest of a manifest or an index: containerd's store has it among those of registries, too. Its
/// descriptor came with engine 28, and images without a name have no digest of a registry.
fn is_of_manifest(found: &Value) -> bool {
    let digests = found["RepoDigests"].as_array().into_iter().flatten().filter_map(Value::as_str);
    !found["Descriptor"].is_null()
        || digests.filter_map(|name| name.rsplit('@').next()).any(|digest| found["Id"] == digest)
}

/// Whether an image of the engine has this configuration.
fn has_content(config: &Value, found: &Value) -> bool {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    [("architecture", "Architecture"), ("os", "Os"), ("variant", "Variant")]
        .iter()
        .all(|(own, theirs)| text(&config[*own]) == text(&found[*theirs]))
        && moment(&text(&config["created"])) == moment(&text(&found["Created"]))
        && config["rootfs"]["diff_ids"] == found["RootFS"]["Layers"]
        && same_fields(&SETTINGS, &config["config"], &found["Config"])
        && same_fields(&HEALTH_CHECK, &config["config"]["Healthcheck"], &found["Config"]["Healthcheck"])
}

fn same_fields(keys: &[&str], one: &Value, other: &Value) -> bool {
    keys.iter().all(|key| meant(&one[*key]) == meant(&other[*key]))
}

/// A time as Go prints it, which leaves zeros at the end of a fraction out (time.RFC3339Nano); its zero is none.
fn moment(text: &str) -> String {
    let text = text.replace("+00:00", "Z").replace("0001-01-01T00:00:00Z", "");
    let Some((seconds, rest)) = text.split_once('.') else { return text };
    let end = rest.find(|digit: char| !digit.is_ascii_digit()).unwrap_or(rest.len());
    let (fraction, zone) = rest.split_at(end);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { format!("{seconds}{zone}") } else { format!("{seconds}.{fraction}{zone}") }
}

/// A setting; nothing where it is not set, which is written in many ways.
fn meant(value: &Value) -> Option<&Value> {
    let is_unset = match value {
        Value::Null => true,
        Value::Bool(is_set) => !is_set,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    };
    (!is_unset).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config() -> Value {
        json!({
            "architecture": "amd64", "os": "linux", "created": "2024-05-01T10:00:00.120000000Z",
            "rootfs": {"type": "layers", "diff_ids": ["sha256:aa", "sha256:bb"]}, "history": [{"created_by": "x"}],
            "config": {
                "Hostname": "", "Cmd": ["sh"], "Env": ["A=b"], "Labels": null, "Volumes": {"/v": {}}, "User": "",
                "Healthcheck": {"Test": ["CMD", "x"], "Interval": 0, "Timeout": 5},
            },
        })
    }

    /// What engine 29 says of it.
    fn found() -> Value {
        json!({
            "Id": "sha256:99", "RepoTags": ["a:1"], "RepoDigests": ["a@sha256:99"], "Descriptor": {"digest": "sha256:99"},
            "Architecture": "amd64", "Os": "linux", "Created": "2024-05-01T10:00:00.12Z", "RootFS": {"Layers": ["sha256:aa", "sha256:bb"]},
            "Config": {
                "Cmd": ["sh"], "Env": ["A=b"], "Volumes": {"/v": {}}, "Healthcheck": {"Test": ["CMD", "x"], "Timeout": 5},
            },
        })
    }

    #[test]
    fn an_image_in_containerd_is_known_by_its_content() {
        assert!(has_content(&config(), &found()));
        for (pointer, value) in [
            ("/Created", json!("2024-05-01T10:00:01Z")),
            ("/Architecture", json!("arm64")),
            ("/RootFS/Layers", json!(["sha256:aa"])),
            ("/Config/Cmd", json!(["sh", "-c"])),
            ("/Config/Volumes", json!({"/w": {}})),
            ("/Config/Volumes", json!(null)),
            ("/Config/Healthcheck/Timeout", json!(6)),
        ] {
            let mut other = found();
            *other.pointer_mut(pointer).unwrap() = value;
            assert!(!has_content(&config(), &other), "{pointer}");
        }
    }

    #[test]
    fn an_id_is_that_of_a_configuration_or_of_a_manifest() {
        let ids = ["sha256:11", "sha256:99"].map(str::to_owned);
        assert!(has_id(&Image { ids: ids.to_vec(), ..Image::default() }, &found()));
        assert!(!has_id(&Image { ids: ids[..1].to_vec(), ..Image::default() }, &found()));
        let mut other = found();
        assert!(is_of_manifest(&other));
        other["Descriptor"] = Value::Null;
        assert!(is_of_manifest(&other), "before engine 28");
        other["RepoDigests"] = json!(["a@sha256:77"]);
        assert!(!is_of_manifest(&other), "a graph driver's");
    }

    #[test]
    fn times_are_compared_as_go_prints_them() {
        for (one, other) in [
            ("2024-05-01T10:00:00.000Z", "2024-05-01T10:00:00Z"),
            ("2024-05-01T10:00:00.120+00:00", "2024-05-01T10:00:00.12Z"),
            ("2024-05-01T10:00:00.5+02:00", "2024-05-01T10:00:00.500+02:00"),
            ("0001-01-01T00:00:00Z", ""),
        ] {
            assert_eq!(moment(one), moment(other));
        }
        assert_ne!(moment("2024-05-01T10:00:00.12Z"), moment("2024-05-01T10:00:00.102Z"));
    }
}
