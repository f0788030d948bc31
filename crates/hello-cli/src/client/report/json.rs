//! The JSON lines of `hello-client`.

use std::time::Duration;

use hello_measure::Cause;
use hello_net::{NoReply, ZonedAddr};
use serde::Serialize;

use super::reason;
use crate::output::json::{Datagram, JsonName, Origin, as_text};

/// A JSON line, by its event.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(super) enum Line<'a> {
    Start {
        #[serde(flatten)]
        origin: &'a Origin,
        servers: Vec<String>,
        timeout_s: f64,
        attempts: u32,
    },
    Greeting {
        #[serde(serialize_with = "as_text")]
        server: ZonedAddr,
        #[serde(flatten)]
        name: JsonName<'a>,
        attempts: u32,
        rtt_ms: Option<f64>,
        elapsed_ms: f64,
        skipped: u64,
    },
    Unanswered {
        #[serde(flatten)]
        name: JsonName<'a>,
        servers: Vec<ServerReason>,
        attempts: u32,
        elapsed_ms: f64,
        skipped: u64,
    },
    Failed {
        #[serde(serialize_with = "as_text")]
        server: ZonedAddr,
        reason: &'static str,
        #[serde(flatten)]
        cause: Option<Cause>,
    },
    Skipped {
        #[serde(serialize_with = "as_text")]
        server: ZonedAddr,
        #[serde(flatten)]
        datagram: Datagram<'a>,
        why: String,
    },
    Interrupted {
        greeted: u64,
        not_greeted: u64,
        not_sent: u64,
        input_left: bool,
    },
    Error {
        error: &'a str,
    },
}

/// A server without a reply, and the reason.
#[derive(Serialize)]
pub(super) struct ServerReason {
    #[serde(serialize_with = "as_text")]
    server: ZonedAddr,
    reason: &'static str,
    #[serde(flatten)]
    cause: Option<Cause>,
}

impl From<&NoReply> for ServerReason {
    fn from(no_reply: &NoReply) -> Self {
        let NoReply { server, problem, cause } = *no_reply;
        let reason = problem.map_or("no-answer", |problem| reason(problem.class, cause));
        Self { server: server.into(), reason, cause }
    }
}

/// Converts a duration to milliseconds, rounded down to a microsecond.
pub(super) fn coarse_millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}
