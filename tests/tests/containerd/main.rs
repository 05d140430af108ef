//! Nodes on containerd: as pods, through its interface for Kubernetes (CRI), and through its own client, as nerdctl runs them.
//!
//! - `cri`, `ctr`: the cells of the support table, `cell`
//! - `life`: a pod's node within its limits, its names and ports, its crash and its next attempt
//! - `sidecar`: the example of Kubernetes, with an engine beside a job
//! - `pod`, `sandbox`, `translate`, `set`: what takes the kubelet's place, and what it is given
//! - `client`, `daemon`, `names`: CRI, a containerd, and the name server of its pods

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod cell;
mod client;
mod cri;
mod ctr;
mod daemon;
mod life;
mod names;
mod pod;
mod sandbox;
mod set;
mod sidecar;
mod translate;
