//! The output formats of `hello-load`.

mod columns;
pub mod json;
pub mod plot;
pub mod text;
