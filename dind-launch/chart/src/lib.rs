//! Charts as SVG, from figures alone: the same figures give the same bytes.
//!
//! * `picture`: elements, text that is safe in XML, colours for a light and a dark ground
//! * `scale`: round numbers for an axis
//! * [`timeline`]: what happened when, one lane each; [`lines`]: one quantity over another
//!
//! Own code and no plotting library: a static tool carries it, and a picture in a page has to follow the page's ground, which takes
//! classes in place of colours.

pub mod lines;
mod picture;
mod scale;
pub mod timeline;

pub use lines::{Lines, Series};
pub use timeline::{Bar, Lane, Timeline};
