//! The forms in which verbs with more than one are printed. The command line has them, and what prints.

pub mod doctor;
pub mod status;
pub mod top;
