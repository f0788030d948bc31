//! The output formats of `hello-ping`.

mod columns;
pub mod json;
pub mod metrics;
pub mod plot;
pub mod text;
