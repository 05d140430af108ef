//! What happens to real nodes when something ends that should not, when nobody reads their log, and when they are stopped at
//! the wrong moment. What can be shown with stubs is in the suites `chain` and `init`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod deaths;
mod early;
mod endings;
mod fixtures;
mod kills;
mod order;
mod output;
mod stop;
