//! The names of tables, chains and comments that are ours, and of those of Docker that we meet.

/// Our own table.
pub const TABLE: &str = "dind";
/// The comment that marks what is ours in the tables of others.
pub const COMMENT: &str = "dind";
/// The table that `iptables-nft` writes to.
pub const FILTER: &str = "filter";
/// Its chain that Docker asks first and leaves to others (docs.docker.com, "Packet filtering and firewalls").
pub const DOCKER_USER: &str = "DOCKER-USER";
/// Its chain for what is forwarded.
pub const FORWARD_CHAIN: &str = "FORWARD";
