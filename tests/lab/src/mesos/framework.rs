//! The test framework, in a container on the cluster's network: takes tasks line by line, and prints their states.

use super::images;
use crate::Result;
use crate::product::image;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A framework; its tasks end with it.
#[derive(Debug)]
pub struct Framework {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Framework {
    /// Starts one on an engine and waits until the master has subscribed it.
    pub(super) fn start(docker_host: &str, network: &str, master: &str) -> Result<Self> {
        let task = format!("TASK_IMAGE={}", image::INNER);
        let mut docker = Command::new("docker");
        docker.args(["run", "--rm", "--interactive", "--network", network, "--env", &task]);
        docker.args([images::BASE, "mesos-framework", master]).env("DOCKER_HOST", docker_host);
        let mut child = docker.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("the framework has no pipes".into());
        };
        let mut framework = Self { child, stdin: Some(stdin), lines: BufReader::new(stdout).lines() };
        framework.until(|event| event["event"] == "subscribed")?;
        Ok(framework)
    }

    /// Hands in a command that runs in an inner container with an address of its own.
    pub fn submit(&mut self, id: &str, command: &str) -> Result<()> {
        let task = json!({"id": id, "network": "BRIDGE", "command": command});
        let stdin = self.stdin.as_mut().ok_or("the framework has ended")?;
        Ok(writeln!(stdin, "{task}")?)
    }

    /// Waits until a task is in a state; any other end of it is an error.
    pub fn state(&mut self, id: &str, state: &str) -> Result<Value> {
        let bad = ["TASK_FAILED", "TASK_LOST", "TASK_ERROR", "TASK_KILLED", "TASK_GONE"];
        let event = self.until(|event| {
            event["task"] == id && (event["state"] == state || bad.iter().any(|bad| event["state"] == *bad))
        })?;
        if event["state"] == state { Ok(event) } else { Err(format!("the task has ended: {event}").into()) }
    }

    fn until(&mut self, holds: impl Fn(&Value) -> bool) -> Result<Value> {
        for line in self.lines.by_ref() {
            let event: Value = serde_json::from_str(&line?)?;
            if holds(&event) {
                return Ok(event);
            }
        }
        Err("the framework has ended".into())
    }
}

impl Drop for Framework {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}
