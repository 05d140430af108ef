//! What happens to real nodes when something ends that should not, when nobody listens, and when they are stopped at the
//! wrong moment. What can be shown with stubs is in `chain.rs` and `init.rs`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "faults/aid.rs"]
mod aid;
#[path = "faults/early.rs"]
mod early;
#[path = "faults/endings.rs"]
mod endings;
#[path = "faults/kills.rs"]
mod kills;
#[path = "faults/order.rs"]
mod order;
#[path = "faults/output.rs"]
mod output;
#[path = "faults/stop.rs"]
mod stop;
