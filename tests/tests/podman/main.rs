//! Nodes on engines of other makes whose clients take docker's words: podman with runc and with crun, and Docker with crun. The modules
//! with cells are rows of the support table.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod flags;
mod life;
mod network;

use dind_tests::cell::{Mode, SLOW, Storage, cell_on, ran_on};
use dind_tests::outer::{Docker, Network, Node, Outer, Podman, SLEEP, docker, image, version_of};
use std::sync::Arc;

/// A module with the cells of an engine, each with a subnet and with the node's cgroup namespace.
macro_rules! cells {
    ($module:ident, $engine:expr, $($name:ident: $storage:ident, $mode:ident($prefix:literal), $namespace:literal;)*) => {
        mod $module {
            use super::*;
            $(
                #[test]
                fn $name() {
                    cell(module_path!(), $engine, Storage::$storage, Mode::$mode($prefix), $namespace);
                }
            )*
        }
    };
}

cells! { docker_crun, on_docker("crun"),
    native_default: Native, Default("10.231"), "private";
    native_bridged: Native, Bridged("10.232"), "host";
    loop_default: Loop, Default("10.233"), "host";
    loop_bridged: Loop, Bridged("10.234"), "private";
}

cells! { podman_runc, on_podman("runc"),
    native_default: Native, Default("10.235"), "private";
    native_bridged: Native, Bridged("10.236"), "host";
    loop_default: Loop, Default("10.237"), "host";
    loop_bridged: Loop, Bridged("10.238"), "private";
}

cells! { podman_crun, on_podman("crun"),
    native_default: Native, Default("10.239"), "private";
    native_bridged: Native, Bridged("10.240"), "host";
    loop_default: Loop, Default("10.241"), "host";
    loop_bridged: Loop, Bridged("10.242"), "private";
}

/// An engine, and what the support table calls it.
type Engine = (Arc<dyn Outer>, String);

fn on_docker(runtime: &'static str) -> Engine {
    let version = docker(&["version", "--format", "{{.Server.Version}}"]).ok();
    (Arc::new(Docker { runtime: Some(runtime) }), format!("docker {version}, {}", version_of(runtime)))
}

fn on_podman(runtime: &'static str) -> Engine {
    let podman = Podman::with(runtime);
    let versions = podman.versions();
    (podman, versions)
}

fn cell(module: &str, (outer, name): Engine, storage: Storage, mode: Mode, namespace: &str) {
    ran_on(module, &name);
    cell_on(&outer, &["--privileged", "--cgroupns", namespace], storage, mode, &[], |_, _| ());
}

/// A volume of podman's on which everything works that works on one of Docker's: these have no setuid programs and no device nodes
/// otherwise (podman-run(1), `--volume`).
const DATA: &str = "/var/lib/docker:exec,suid,dev";

/// A node on podman, with a data root of its own.
fn node(podman: &Arc<Podman>, network: &Network, options: &[&str]) -> Node {
    let data = format!("{}:{DATA}", dind_tests::unique("data"));
    let own = ["--privileged", "--network", &network.name, "--volume", &data];
    let outer: Arc<dyn Outer> = podman.clone();
    Node::of_engine(outer, &image(), &[&SLOW[..], &own, options].concat(), SLEEP)
}

/// A network of podman's that gives out the first /24 of `prefix`.0.0/16.
fn network(podman: &Arc<Podman>, prefix: &str, mtu: &str) -> Network {
    Network::on(podman.clone(), &format!("{prefix}.0.0/16"), &format!("{prefix}.0.0/24"), mtu)
}
