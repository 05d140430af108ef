//! What runs, and how it wants to be stopped.

use bollard::models::{ContainerInspectResponse, ContainerSummary};

/// What the engine gives a container that says nothing (Docker's `--stop-timeout`, `STOPSIGNAL`).
const STOP_TIMEOUT: i64 = 10;
const STOP_SIGNAL: &str = "SIGTERM";

/// A container in the engine's list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// The whole id.
    pub id: String,
    /// Without the slash in front.
    pub name: String,
}

/// A container that runs, is paused, or is between two runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// The whole id.
    pub id: String,
    /// Without the slash in front.
    pub name: String,
    /// As Docker spells it.
    pub state: String,
    /// The signal that asks it to stop.
    pub stop_signal: String,
    /// Seconds; negative is for ever.
    pub stop_timeout: i64,
}

/// What an inspection finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It can be stopped.
    Active(Container),
    /// It has ended, with this exit status.
    Ended(Option<i64>),
}

/// An entry of `GET /containers/json`. One without an id cannot be named to the engine.
#[must_use]
pub fn listed(summary: ContainerSummary) -> Option<Listed> {
    let id = summary.id?;
    // The first name is its own; a legacy link adds `/other/alias`.
    let names = summary.names.unwrap_or_default();
    let own = names.iter().find(|name| !name.trim_start_matches('/').contains('/')).or(names.first());
    let name = own.map_or(id.as_str(), |name| name.trim_start_matches('/')).to_owned();
    Some(Listed { id, name })
}

/// The answer to `GET /containers/ID/json`.
#[must_use]
pub fn inspected(listed: &Listed, answer: ContainerInspectResponse) -> Found {
    let state = answer.state.unwrap_or_default();
    if state.running == Some(false) && state.restarting != Some(true) {
        return Found::Ended(state.exit_code);
    }
    let config = answer.config.unwrap_or_default();
    Found::Active(Container {
        id: listed.id.clone(),
        name: listed.name.clone(),
        state: state.status.map_or_else(|| "running".to_owned(), |status| status.to_string()),
        stop_signal: config
            .stop_signal
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| STOP_SIGNAL.to_owned()),
        stop_timeout: config.stop_timeout.unwrap_or(STOP_TIMEOUT),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, from_value, json};

    fn found(answer: Value) -> Found {
        inspected(&Listed { id: "1".into(), name: "web".into() }, from_value(answer).unwrap())
    }

    #[test]
    fn the_engines_defaults_are_filled_in() {
        let Found::Active(plain) =
            found(json!({"State": {"Running": true, "Status": "running"}, "Config": {}}))
        else {
            panic!("it runs")
        };
        assert_eq!((plain.stop_signal.as_str(), plain.stop_timeout), ("SIGTERM", 10));
        let config = json!({"StopSignal": "SIGRTMIN+3", "StopTimeout": -1});
        let Found::Active(own) =
            found(json!({"State": {"Running": true, "Status": "paused"}, "Config": config}))
        else {
            panic!("it is paused")
        };
        assert_eq!(
            (own.stop_signal.as_str(), own.stop_timeout, own.state.as_str()),
            ("SIGRTMIN+3", -1, "paused")
        );
    }

    #[test]
    fn between_two_runs_is_not_ended() {
        let state = json!({"Running": false, "Restarting": true, "Status": "restarting", "ExitCode": 1});
        assert!(matches!(found(json!({"State": state})), Found::Active(_)));
        let state = json!({"Running": false, "Restarting": false, "Status": "exited", "ExitCode": 3});
        assert_eq!(found(json!({"State": state})), Found::Ended(Some(3)));
    }

    #[test]
    fn a_link_is_not_the_name() {
        let summary =
            |names: Value| listed(from_value(json!({"Id": "abc", "Names": names})).unwrap()).unwrap().name;
        assert_eq!(summary(json!(["/web/db", "/db"])), "db");
        assert_eq!(summary(json!([])), "abc");
    }
}
