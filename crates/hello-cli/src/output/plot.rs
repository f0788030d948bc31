//! Plots in SVG.

pub(crate) mod axis;
pub(crate) mod canvas;
pub(crate) mod paths;
pub(crate) mod runs;
#[cfg(test)]
pub(crate) mod tests;
