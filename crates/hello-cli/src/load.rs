//! What `hello-load` offers, and what comes of it.
//!
//! [`Tally`](tally::Tally) adds up what one thread of the generator sees, [`Summary`](summary::Summary)
//! is what a run comes to, and every form of output has it for its argument. A search or a sweep is
//! one run after the other.

pub mod args;
pub mod interval;
pub mod json;
pub mod limits;
pub mod plot;
pub mod rate_limit;
mod row;
#[cfg(test)]
mod sample;
pub mod search;
pub mod session;
pub mod summary;
pub mod tally;
pub mod text;
