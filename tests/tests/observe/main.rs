//! What a node shows of itself: `top` on real terminals, figures for collectors, and the picture of its start.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod metrics;
mod picture;
mod terminal;
mod top;
