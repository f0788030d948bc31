//! The forms of output, one file each.

mod columns;
pub mod json;
pub mod metrics;
pub mod plot;
pub mod text;
