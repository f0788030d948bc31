//! End to end: the real binaries as processes, against each other, against peers that are not
//! ours, and against faults.

mod client;
mod deploy;
mod faults;
mod foreign;
mod generated;
mod load;
mod namespaces;
mod server;
mod spoofing;
mod support;
