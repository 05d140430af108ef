//! The engine in a node, and its containers.

use super::Node;
use crate::eventually;
use crate::outer::{Ended, LIMIT, inner_image, run};

impl Node {
    /// Runs this machine's client on the inner engine's socket.
    ///
    /// # Panics
    /// The command fails.
    pub fn inner(&self, args: &[&str]) -> String {
        self.inner_docker(args).ok()
    }

    /// The same, whatever the client's exit status.
    ///
    /// # Panics
    /// The node has ended.
    pub fn inner_docker(&self, args: &[&str]) -> Ended {
        run("docker", &[&["--host", &self.inner_host()], args].concat())
    }

    /// The inner engine's socket, as `DOCKER_HOST` has it, for programs on this machine.
    ///
    /// # Panics
    /// The node has ended.
    #[must_use]
    pub fn inner_host(&self) -> String {
        let process = self.process().unwrap_or_else(|| panic!("the node has ended: {}", self.log()));
        // Not /var/run: its absolute link leads out of the node.
        format!("unix://{}/root/run/docker.sock", process.display())
    }

    /// Starts an inner container in the background and returns its id.
    ///
    /// # Panics
    /// The inner engine refuses.
    pub fn inner_run(&self, options: &[&str], script: &str) -> String {
        self.inner(&[&["run", "--detach"], options, &[&inner_image(), "sh", "-c", script]].concat())
    }

    /// Restarts the node, kills it and starts it. Each time the inner container runs again, and `also` holds.
    ///
    /// # Panics
    /// One of them does not.
    pub fn comes_back_after_a_restart_and_a_kill(&self, inner: &str, also: impl Fn()) {
        let comes_back = || {
            self.until_running();
            eventually("the inner container runs again", LIMIT, || {
                let state = self.inner_docker(&["inspect", "--format", "{{.State.Running}}", inner]);
                (state.stdout == "true").then_some(())
            });
            also();
        };
        self.outer(&["restart", "--time", "60", &self.name]).ok();
        comes_back();
        self.outer(&["kill", &self.name]).ok();
        assert_eq!(self.exit_status(), 137);
        self.outer(&["start", &self.name]).ok();
        comes_back();
    }
}
