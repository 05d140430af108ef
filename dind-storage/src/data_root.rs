//! The names of our files in a data root. No engine knows them.

/// The host name of the node that has the data root, or had it last. In a container of Docker's that is its id, unless somebody
/// has chosen another one.
pub const NAME: &str = ".dind-node";

/// Space for the start of a node on a full file system.
pub const RESERVE: &str = ".dind-reserve";

/// What seeds have brought into a data root, and the record of it.
pub const SEED: &str = ".dind-seed";

/// What is no data: ours, and what a fresh ext4 has. A mount over it hides nothing.
pub const NOT_DATA: [&str; 4] = ["lost+found", NAME, RESERVE, SEED];
