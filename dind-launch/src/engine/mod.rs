//! The engine: containerd and dockerd, what they are started with, and what they leave behind.
//!
//! containerd is the launcher's own child and not dockerd's. dockerd waits for a containerd that it manages in steps of
//! a second when it stops, and after a crash takes any process with the number in a stale pid file for it.
//!
//! * Settings: [`args`] (the user's flags), [`user_file`] (the user's `daemon.json`), [`user_settings`] (both, checked),
//!   [`docker_host`] (one more socket), [`decisions`] (what they decide of storage and network), [`config`] (the merged
//!   `daemon.json`), [`flags`] (which flag sets what).
//! * The daemons: [`daemon`] (what both share, readiness and death), [`containerd`], [`dockerd`], [`readiness`] (the signs of
//!   it), [`death`] (why one may have died, with [`writable`]), [`version`] (which engines are supported).
//! * What an earlier run left: [`stale`] in /run, [`stale_networks`] in the data root.
//! * Who has the data root: [`data_root_lock`].
//! * [`preload`]: image archives. [`hairpin`]: a warning of ports that would not answer. [`cut_off`]: one of containers that have no
//!   way out.

pub mod args;
pub mod config;
pub mod containerd;
pub mod cut_off;
pub mod daemon;
pub mod data_root_lock;
pub mod death;
pub mod decisions;
pub mod docker_host;
pub mod dockerd;
pub mod flags;
pub mod hairpin;
pub mod preload;
pub mod readiness;
pub mod stale;
pub mod stale_networks;
pub mod user_file;
pub mod user_settings;
pub mod version;
pub mod writable;
