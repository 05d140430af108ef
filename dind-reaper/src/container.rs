//! Containers, as the engine's API describes them.

use bollard::models::{ContainerInspectResponse, ContainerSummary};

/// What Docker assumes for a container that sets neither (`--stop-timeout`, in seconds, and `--stop-signal`).
const DEFAULT_STOP_TIMEOUT: i64 = 10;
const DEFAULT_STOP_SIGNAL: &str = "SIGTERM";

/// A container in the engine's list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// The full id.
    pub id: String,
    /// Without the leading slash.
    pub name: String,
}

impl Listed {
    /// Reads an entry of `GET /containers/json`. Without an id there is no way to ask the engine about it.
    #[must_use]
    pub fn from_summary(summary: ContainerSummary) -> Option<Self> {
        let id = summary.id?;
        // A legacy link adds `/other/alias` to the names.
        let names = summary.names.unwrap_or_default();
        let own = names.iter().find(|name| !name.trim_start_matches('/').contains('/')).or(names.first());
        let name = own.map_or(id.as_str(), |name| name.trim_start_matches('/')).to_owned();
        Some(Self { id, name })
    }
}

/// A container that runs, is paused, or is waiting to be restarted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// The full id.
    pub id: String,
    /// Without the leading slash.
    pub name: String,
    /// As Docker spells it.
    pub state: String,
    /// The signal that asks it to stop.
    pub stop_signal: String,
    /// Seconds; negative means no limit.
    pub stop_timeout: i64,
}

/// What an inspection finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inspection {
    /// The container can be stopped.
    Active(Container),
    /// It has ended, with this exit status.
    Ended(Option<i64>),
}

impl Inspection {
    /// Reads the answer to `GET /containers/ID/json`.
    #[must_use]
    pub fn from_answer(listed: &Listed, answer: ContainerInspectResponse) -> Self {
        let state = answer.state.unwrap_or_default();
        if state.running == Some(false) && state.restarting != Some(true) {
            return Self::Ended(state.exit_code);
        }
        let config = answer.config.unwrap_or_default();
        Self::Active(Container {
            id: listed.id.clone(),
            name: listed.name.clone(),
            state: state.status.map_or_else(|| "running".to_owned(), |status| status.to_string()),
            stop_signal: config
                .stop_signal
                .filter(|name| !name.is_empty())
                .unwrap_or_else(|| DEFAULT_STOP_SIGNAL.to_owned()),
            stop_timeout: config.stop_timeout.unwrap_or(DEFAULT_STOP_TIMEOUT),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, from_value, json};

    fn inspect(answer: Value) -> Inspection {
        let listed = Listed { id: "1".into(), name: "web".into() };
        Inspection::from_answer(&listed, from_value(answer).unwrap())
    }

    #[test]
    fn dockers_defaults_are_filled_in() {
        let Inspection::Active(plain) =
            inspect(json!({"State": {"Running": true, "Status": "running"}, "Config": {}}))
        else {
            panic!("it runs")
        };
        assert_eq!((plain.stop_signal.as_str(), plain.stop_timeout), ("SIGTERM", 10));
        let config = json!({"StopSignal": "SIGRTMIN+3", "StopTimeout": -1});
        let Inspection::Active(own) =
            inspect(json!({"State": {"Running": true, "Status": "paused"}, "Config": config}))
        else {
            panic!("it is paused")
        };
        assert_eq!(
            (own.stop_signal.as_str(), own.stop_timeout, own.state.as_str()),
            ("SIGRTMIN+3", -1, "paused")
        );
    }

    #[test]
    fn a_container_that_waits_for_its_restart_has_not_ended() {
        let state = json!({"Running": false, "Restarting": true, "Status": "restarting", "ExitCode": 1});
        assert!(matches!(inspect(json!({"State": state})), Inspection::Active(_)));
        let state = json!({"Running": false, "Restarting": false, "Status": "exited", "ExitCode": 3});
        assert_eq!(inspect(json!({"State": state})), Inspection::Ended(Some(3)));
    }

    #[test]
    fn a_link_is_not_the_name() {
        let name = |names: Value| {
            Listed::from_summary(from_value(json!({"Id": "abc", "Names": names})).unwrap()).unwrap().name
        };
        assert_eq!(name(json!(["/web/db", "/db"])), "db");
        assert_eq!(name(json!([])), "abc");
    }
}
