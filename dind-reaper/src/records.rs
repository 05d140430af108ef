//! What the engine has written down of a container, in `DATA-ROOT/containers/ID/config.v2.json`. Read only: the file is
//! dockerd's own. It is what can be known of a container when the engine does not answer; without it Docker's defaults hold.

use crate::container::{Container, DEFAULT_STOP_SIGNAL, DEFAULT_STOP_TIMEOUT};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// A running container; its name is the id where there is no record.
#[must_use]
pub fn container(data_root: &Path, id: &str) -> Container {
    parse(id, &read(data_root, id))
}

/// The exit status of a container whose end is recorded.
#[must_use]
pub fn exit_code(data_root: &Path, id: &str) -> Option<i64> {
    ended(&read(data_root, id))
}

/// What is recorded of a container's state; null where the engine has removed it.
#[must_use]
pub fn state(data_root: &Path, id: &str) -> Value {
    read(data_root, id).get_mut("State").map(Value::take).unwrap_or_default()
}

fn read(data_root: &Path, id: &str) -> Value {
    let file = data_root.join("containers").join(id).join("config.v2.json");
    serde_json::from_slice(&fs::read(file).unwrap_or_default()).unwrap_or_default()
}

fn parse(id: &str, record: &Value) -> Container {
    let text = |pointer| record.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
    Container {
        id: id.to_owned(),
        name: text("/Name").map_or(id, |name| name.trim_start_matches('/')).to_owned(),
        state: if record.pointer("/State/Paused") == Some(&Value::Bool(true)) { "paused" } else { "running" }
            .to_owned(),
        stop_signal: text("/Config/StopSignal").unwrap_or(DEFAULT_STOP_SIGNAL).to_owned(),
        stop_timeout: record
            .pointer("/Config/StopTimeout")
            .and_then(Value::as_i64)
            .unwrap_or(DEFAULT_STOP_TIMEOUT),
    }
}

fn ended(record: &Value) -> Option<i64> {
    let has_ended = record.pointer("/State/Running") == Some(&Value::Bool(false));
    record.pointer("/State/ExitCode").filter(|_| has_ended)?.as_i64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_record_is_read_and_defaults_are_filled_in() {
        let full = json!({
            "Name": "/web",
            "Config": {"StopSignal": "SIGRTMIN+3", "StopTimeout": 2},
            "State": {"Running": true, "Paused": true},
        });
        let web = parse("abc", &full);
        assert_eq!((web.name.as_str(), web.state.as_str(), web.stop_timeout), ("web", "paused", 2));
        assert_eq!((web.stop_signal.as_str(), web.signal()), ("SIGRTMIN+3", 37));
        for record in [Value::Null, json!({"Config": {"StopSignal": ""}})] {
            let default = parse("abc", &record);
            assert_eq!((default.name.as_str(), default.state.as_str()), ("abc", "running"));
            assert_eq!((default.signal(), default.stop_timeout), (15, 10));
        }
    }

    #[test]
    fn an_exit_status_counts_once_the_end_is_recorded() {
        assert_eq!(ended(&json!({"State": {"Running": false, "ExitCode": 3}})), Some(3));
        assert_eq!(ended(&json!({"State": {"Running": true, "ExitCode": 0}})), None);
        assert_eq!(ended(&Value::Null), None);
    }
}
