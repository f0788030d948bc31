//! End-to-end tests: the real binaries as processes, against each other, against independent peers,
//! and under faults.

mod activation;
mod attacks;
mod client;
mod deploy;
mod descriptors;
mod docs;
mod driver;
mod faults;
mod foreign;
mod generated;
mod hello_load;
mod kubernetes;
mod layout;
mod limits;
mod metrics_file;
mod metrics_http;
mod monitoring;
mod namespaces;
mod observability;
mod overload;
mod paths;
mod ping;
mod ping_output;
mod relay;
mod server;
mod signals;
mod spoofing;
mod support;
mod truth;
mod xdp_output;
