//! The names of our files in a data root, which no engine knows, and of the engine's that a clone must not have.

/// The host name of the node that has the data root, or had it last. In a container of Docker's that is its id, unless somebody
/// has chosen another one.
pub const NAME: &str = ".dind-node";

/// Space for the start of a node on a full file system.
pub const RESERVE: &str = ".dind-reserve";

/// What seeds have brought into a data root, and the record of it.
pub const SEED: &str = ".dind-seed";
/// The engine's id, since 24 (moby, daemon/id.go). It makes one where there is none.
pub const ENGINE_ID: &str = "engine-id";

/// What dockerd has of a swarm (moby, daemon/cluster): whoever has it is that member.
pub const SWARM: &str = "swarm/docker-state.json";

/// What is no data: ours, and what a fresh ext4 has. A mount over it hides nothing.
pub const NOT_DATA: [&str; 4] = ["lost+found", NAME, RESERVE, SEED];
