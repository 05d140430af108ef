//! The node in place of docker:dind: started as people start that, waited for, drained, and with evidence of what ran in it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod claim;
mod drain;
mod evidence;
mod forms;
mod second_engine;
mod wait;
