//! What the tools have in common with every process.

pub mod descriptors;
pub mod exit;
pub mod signals;
pub mod ticker;
