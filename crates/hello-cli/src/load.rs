//! How much a server carries: `hello-load`.

pub mod search;
