//! containerd's interface for Kubernetes (CRI), as a kubelet uses it: the socket, and one function for each of its calls.

use dind_tests::outer::{Ended, LIMIT};
use dind_tests::stretched;
use k8s_cri::v1::runtime_service_client::RuntimeServiceClient;
use k8s_cri::v1::{
    ContainerConfig, ContainerStatus, ContainerStatusRequest, CreateContainerRequest, ExecSyncRequest,
    ImageSpec, PodSandboxConfig, PodSandboxStatusRequest, RemoveContainerRequest, RemovePodSandboxRequest,
    RunPodSandboxRequest, StartContainerRequest, StopContainerRequest, StopPodSandboxRequest,
};
use serde_json::Value;
use std::future::Future;
use std::path::Path;
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};

/// A connection.
#[derive(Debug)]
pub(crate) struct Cri {
    tokio: Runtime,
    channel: Channel,
}

impl Cri {
    /// Connects to a socket.
    pub(crate) fn connect(socket: &Path) -> Self {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let endpoint = Endpoint::from_shared(format!("unix://{}", socket.display())).unwrap();
        let channel = tokio.block_on(endpoint.connect()).unwrap();
        Self { tokio, channel }
    }

    fn runtime(&self) -> RuntimeServiceClient<Channel> {
        RuntimeServiceClient::new(self.channel.clone())
    }

    fn ask<T>(&self, what: &str, call: impl Future<Output = Result<Response<T>, Status>>) -> T {
        let answer = self.tokio.block_on(call);
        answer.unwrap_or_else(|status| panic!("{what}: {}", status.message())).into_inner()
    }

    /// Returns the sandbox's id.
    pub(crate) fn run_sandbox(&self, config: &PodSandboxConfig) -> String {
        let request = RunPodSandboxRequest { config: Some(config.clone()), runtime_handler: String::new() };
        self.ask("RunPodSandbox", self.runtime().run_pod_sandbox(request)).pod_sandbox_id
    }

    /// The address of a sandbox.
    pub(crate) fn address(&self, sandbox: &str) -> String {
        let request = PodSandboxStatusRequest { pod_sandbox_id: sandbox.to_owned(), verbose: false };
        let status = self.ask("PodSandboxStatus", self.runtime().pod_sandbox_status(request)).status;
        status.unwrap().network.unwrap().ip
    }

    /// Everything that runs in it is killed, and its network is gone.
    pub(crate) fn stop_sandbox(&self, sandbox: &str) {
        let request = StopPodSandboxRequest { pod_sandbox_id: sandbox.to_owned() };
        self.ask("StopPodSandbox", self.runtime().stop_pod_sandbox(request));
    }

    pub(crate) fn remove_sandbox(&self, sandbox: &str) {
        let request = RemovePodSandboxRequest { pod_sandbox_id: sandbox.to_owned() };
        self.ask("RemovePodSandbox", self.runtime().remove_pod_sandbox(request));
    }

    /// A container in a sandbox. Returns its id, or why there is none.
    pub(crate) fn create(&self, sandbox: &str, config: ContainerConfig, pod: &PodSandboxConfig) -> String {
        let request = CreateContainerRequest {
            pod_sandbox_id: sandbox.to_owned(),
            config: Some(config),
            sandbox_config: Some(pod.clone()),
        };
        self.ask("CreateContainer", self.runtime().create_container(request)).container_id
    }

    pub(crate) fn start(&self, container: &str) {
        let request = StartContainerRequest { container_id: container.to_owned() };
        self.ask("StartContainer", self.runtime().start_container(request));
    }

    /// A stop signal, and KILL after as many seconds.
    pub(crate) fn stop(&self, container: &str, seconds: i64) {
        let request = StopContainerRequest { container_id: container.to_owned(), timeout: seconds };
        self.ask("StopContainer", self.runtime().stop_container(request));
    }

    pub(crate) fn remove(&self, container: &str) {
        let request = RemoveContainerRequest { container_id: container.to_owned() };
        self.ask("RemoveContainer", self.runtime().remove_container(request));
    }

    /// How a container is, and containerd's number of its first process where it runs.
    pub(crate) fn status(&self, container: &str) -> (ContainerStatus, Option<String>) {
        let request = ContainerStatusRequest { container_id: container.to_owned(), verbose: true };
        let answer = self.ask("ContainerStatus", self.runtime().container_status(request));
        let info: Value = serde_json::from_str(&answer.info["info"]).unwrap();
        let pid = info["pid"].as_u64().filter(|pid| *pid != 0);
        (answer.status.unwrap(), pid.map(|pid| pid.to_string()))
    }

    /// Runs a command in a container, as probes and hooks are.
    pub(crate) fn exec(&self, container: &str, command: &[&str]) -> Ended {
        let request = ExecSyncRequest {
            container_id: container.to_owned(),
            cmd: command.iter().map(|word| (*word).to_owned()).collect(),
            timeout: stretched(LIMIT).as_secs() as i64,
        };
        let answer = self.ask("ExecSync", self.runtime().exec_sync(request));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ended {
            status: answer.exit_code,
            stdout: text(&answer.stdout).trim_end().to_owned(),
            stderr: text(&answer.stderr),
        }
    }
}

/// An image by its name.
pub(crate) fn of(image: &str) -> ImageSpec {
    ImageSpec { image: image.to_owned(), ..ImageSpec::default() }
}
