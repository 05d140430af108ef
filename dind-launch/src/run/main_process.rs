//! The main process: which program it is, how it is started, and which signals ask it to stop.

use crate::executable::{self, not_executable, not_found};
use crate::fault;
use crate::mesos;
use crate::paths;
use crate::process::{Node, hint_of};
use dind_contract::Fault;
use dind_system::Root;
use dind_system::supervisor::{ChildId, SpawnMode, exec_status};
use nix::libc::{SIGTERM, SIGUSR1};
use std::collections::BTreeMap;
use std::process::Command;

/// The command to run: the given one, or a Mesos agent if there is one; empty where the engine itself is the service.
///
/// # Errors
/// [`fault::COMMAND_NOT_FOUND`], [`fault::COMMAND_NOT_EXECUTABLE`]: found before an engine is started for nothing.
pub fn choose(root: &Root, command: &[String]) -> Result<Vec<String>, Fault> {
    let Some(program) = command.first() else {
        let agent = mesos::AGENTS.iter().find(|agent| paths::program(root, agent).is_some());
        return Ok(agent.map(|agent| vec![(*agent).to_owned()]).unwrap_or_default());
    };
    executable::check(root, program)?;
    Ok(command.to_vec())
}

/// Starts the main process, with our stdin, stdout, stderr and environment, more variables, and the terminal if there
/// is one.
///
/// # Errors
/// As [`choose`]: a missing interpreter or a wrong architecture shows only now.
pub fn start(
    node: &mut Node,
    command: &[String],
    variables: &BTreeMap<String, String>,
) -> Result<ChildId, Fault> {
    let Some((program, args)) = command.split_first() else { return Err(not_found("")) };
    spawn(node, command, Command::new(program).args(args).envs(variables), SpawnMode::Foreground)
}

/// Starts it with what `command` has been given; `words` are for messages.
///
/// # Errors
/// Those of [`start`].
pub fn spawn(
    node: &mut Node,
    words: &[String],
    command: &mut Command,
    mode: SpawnMode,
) -> Result<ChildId, Fault> {
    let program = words.first().map_or("", String::as_str);
    let (child, _) = node.spawn(command, mode).map_err(|error| {
        if let Some(hint) = hint_of(&error) {
            return fault::COMMAND_NOT_EXECUTABLE.cannot("execute", program, error).hint(hint);
        }
        let fault = if exec_status(&error) == 127 { not_found(program) } else { not_executable(program) };
        fault.cause(error)
    })?;
    node.main = Some(child);
    Ok(child)
}

/// The numbers of the signals that ask the main process to stop, one after the other: the one that the user has set; for a
/// Mesos agent USR1 and then TERM; otherwise what fits the one that asked the node to stop, or TERM.
///
/// On USR1 an agent leaves its master and ends its tasks, and frameworks hear of it at once. After a TERM they hear of it only
/// when the master gives the agent up.
#[must_use]
pub fn stop_signals(command: &[String], from_user: Option<i32>, to_node: Option<i32>) -> Vec<i32> {
    match from_user {
        Some(signal) => vec![signal],
        None if mesos::is_agent(command) => vec![SIGUSR1, SIGTERM],
        None => vec![to_node.unwrap_or(SIGTERM)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mesos_agent_is_asked_to_leave_before_it_is_asked_to_end() {
        let (agent, other) = (["mesos-agent".to_owned()], ["sleep".to_owned()]);
        assert_eq!(stop_signals(&agent, None, Some(2)), [10, 15]);
        assert_eq!(stop_signals(&agent, Some(15), Some(2)), [15]);
        assert_eq!(stop_signals(&other, None, Some(2)), [2]);
        assert_eq!(stop_signals(&other, None, None), [15]);
    }

    #[test]
    fn what_can_be_executed_is_known_before_it_is_tried() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(choose(&Root::default(), &words("sh -c true")).unwrap(), words("sh -c true"));
        for (command, code) in [
            ("/no/such", fault::COMMAND_NOT_FOUND),
            ("no-such-program", fault::COMMAND_NOT_FOUND),
            ("/etc/passwd", fault::COMMAND_NOT_EXECUTABLE),
            ("/etc", fault::COMMAND_NOT_EXECUTABLE),
        ] {
            assert_eq!(choose(&Root::default(), &words(command)).unwrap_err().code, code, "{command}");
        }
    }
}
