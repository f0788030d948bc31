//! Reading a run: the JSON lines of `hello-ping`.

use std::collections::HashMap;
use std::io::{self, BufRead, Read};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, UNIX_EPOCH};

use hello_measure::{Join, JoinPlan, ProbeOutcome, Suspect};
use hello_proto::Peer;
use serde::Deserialize;
use thiserror::Error;

use crate::output::escape::Escaped;
use crate::output::json::SCHEMA_VERSION;

/// A run cannot be joined.
#[derive(Debug, Error)]
pub enum RunError {
    /// The file cannot be read.
    #[error("cannot read it")]
    Io(#[source] io::Error),
    /// A line is not one of `hello-ping --json`.
    #[error("line {line} is not one of hello-ping --json")]
    Line {
        /// The number of the line, from 1.
        line: u64,
        /// The error in it.
        #[source]
        source: serde_json::Error,
    },
    /// A number or an address in a line is impossible.
    #[error("line {line} has an impossible {field}")]
    Field {
        /// The number of the line, from 1.
        line: u64,
        /// The field.
        field: &'static str,
    },
    /// A line is longer than any of `hello-ping --json`.
    #[error("line {line} is longer than {MAX_LINE} bytes")]
    TooLong {
        /// The number of the line, from 1.
        line: u64,
    },
    /// The file has lines of another tool.
    #[error("it is the output of {}, not of hello-ping", Escaped(tool.as_bytes()))]
    OtherTool {
        /// The tool.
        tool: String,
    },
    /// The file is of another version.
    #[error("it has version {version} of the JSON schema, not {SCHEMA_VERSION}")]
    Schema {
        /// The version.
        version: u32,
    },
    /// The file does not say how to recognise the probes.
    #[error("it has no run_id: a newer hello-ping records it")]
    NoRunId,
    /// No line of the file is the start of a run.
    #[error("it has no start of a run: record it with hello-ping --json")]
    NoStart,
    /// The run has no line about any probe.
    #[error(
        "it has no line about a probe to {}: record it without --quiet",
        Escaped(target.as_bytes())
    )]
    NoProbes {
        /// The target.
        target: String,
    },
}

/// The probes of a run to one target.
#[derive(Debug)]
pub struct TargetRun {
    /// The name of the target.
    pub target: String,
    /// The probes.
    pub join: Join,
    /// The probes sent, by the summary; `None` if the run has none.
    pub sent: Option<u64>,
    /// The probes lost, also those answered late, by the summary; `None` if the run has none.
    pub lost: Option<u64>,
    /// The lost probes by cause, by the summary.
    pub causes: Vec<LostBy>,
    /// The comparison of its flows, if it has one.
    pub suspicion: Option<Suspicion>,
    /// The share of lost probes that makes a flow a losing one.
    threshold: f64,
    /// The number of flows.
    pub flows: usize,
    /// The time of day at the start, since 1970.
    pub epoch: Option<Duration>,
}

/// Probes that were lost for one cause.
#[derive(Clone, Debug, Deserialize)]
pub struct LostBy {
    /// The name of the cause.
    pub cause: String,
    /// The router or host that reported it.
    pub reporter: Option<IpAddr>,
    /// Their number.
    pub lost: u64,
}

/// The routers that only losing flows share.
#[derive(Clone, Debug, Deserialize)]
pub struct Suspicion {
    target: String,
    /// The losing flows.
    pub losing: Vec<usize>,
    /// The flows without more loss than the threshold.
    pub clean: Vec<usize>,
    /// The share of lost probes that makes a flow a losing one.
    #[serde(skip)]
    pub threshold: f64,
    routers: Vec<Router>,
}

impl Suspicion {
    /// Returns the routers.
    pub(super) fn routers(&self) -> Vec<Suspect> {
        let suspect = |&Router { address, ttl, certain }: &Router| Suspect {
            address,
            ttl,
            is_certain: certain,
        };
        self.routers.iter().map(suspect).collect()
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Router {
    address: IpAddr,
    ttl: u8,
    certain: bool,
}

impl TargetRun {
    /// Takes the clock of the run for that of the capture.
    pub(super) fn synchronise(&mut self) {
        if let Some(epoch) = self.epoch {
            self.join.set_epoch(epoch);
        }
    }
}

/// Reads all runs of a file, one for each target. A last line without its end is left out.
///
/// # Errors
///
/// [`RunError`] if the file is not the output of `hello-ping --json`, or lacks the probes.
pub fn read(mut input: impl BufRead) -> Result<Vec<TargetRun>, RunError> {
    let (mut runs, mut indices) = (Vec::<TargetRun>::new(), HashMap::<String, usize>::new());
    let (mut bytes, mut line) = (Vec::new(), 0);
    loop {
        bytes.clear();
        let taken = (&mut input).take(MAX_LINE).read_until(b'\n', &mut bytes);
        let is_whole = bytes.ends_with(b"\n");
        line += 1;
        match taken.map_err(RunError::Io)? {
            0 => break,
            len if len as u64 == MAX_LINE && !is_whole => return Err(RunError::TooLong { line }),
            _ => {}
        }
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        let parsed = match serde_json::from_slice::<Line>(&bytes) {
            Ok(parsed) => parsed,
            // A tool that is killed while it writes leaves half a line.
            Err(_) if !is_whole && !runs.is_empty() => break,
            Err(source) => return Err(RunError::Line { line, source }),
        };
        match parsed {
            Line::Start(start) => {
                let target = start.target.clone().unwrap_or_default();
                runs.push(start.open(line)?);
                indices.insert(target, runs.len() - 1);
            }
            Line::Reply(probe) => add(&mut runs, &indices, &probe, line, Kind::Reply)?,
            Line::Late(probe) => add(&mut runs, &indices, &probe, line, Kind::Late)?,
            Line::Lost(probe) => add(&mut runs, &indices, &probe, line, Kind::Lost)?,
            Line::Summary { target, sent, lost, lost_causes } => {
                if let Some(index) = indices.get(&target) {
                    let run = &mut runs[*index];
                    (run.sent, run.lost, run.causes) = (Some(sent), Some(lost), lost_causes);
                }
            }
            Line::Suspects(mut suspicion) => {
                if let Some(index) = indices.get(&suspicion.target) {
                    suspicion.threshold = runs[*index].threshold;
                    runs[*index].suspicion = Some(suspicion);
                }
            }
            Line::Suppressed => {
                // It does not say of which targets these lines were.
                indices.values().for_each(|index| runs[*index].join.handle_suppressed());
            }
            Line::Other => {}
        }
    }
    if runs.is_empty() {
        return Err(RunError::NoStart);
    }
    match runs.iter().all(|run| run.join.probes() == 0) {
        true => Err(RunError::NoProbes { target: runs.swap_remove(0).target }),
        false => Ok(runs),
    }
}

/// Adds the outcome of a probe to its run.
fn add(
    runs: &mut [TargetRun],
    indices: &HashMap<String, usize>,
    probe: &Probe,
    line: u64,
    kind: Kind,
) -> Result<(), RunError> {
    let bad = |field| RunError::Field { line, field };
    let run = indices.get(&probe.target).map(|index| &mut runs[*index]);
    let run = run.ok_or(RunError::NoStart)?;
    if probe.flow >= run.flows {
        return Err(bad("flow"));
    }
    let at = seconds(probe.at_s).ok_or_else(|| bad("at_s"))?;
    let rtt = || {
        let rtt = probe.rtt_ms.and_then(|millis| seconds(millis / 1e3));
        rtt.ok_or_else(|| bad("rtt_ms"))
    };
    let (sent, outcome) = match kind {
        Kind::Lost => {
            let sent = probe.sent_s.and_then(seconds).ok_or_else(|| bad("sent_s"))?;
            (sent, ProbeOutcome::Lost)
        }
        Kind::Reply => (at.saturating_sub(rtt()?), ProbeOutcome::Answered { rtt: rtt()? }),
        Kind::Late => (at.saturating_sub(rtt()?), ProbeOutcome::Late { rtt: rtt()? }),
    };
    run.join.handle_probe(probe.seq, probe.flow, sent, outcome);
    let time = humantime::parse_rfc3339(&probe.time).map_err(|_| bad("time"))?;
    let time = time.duration_since(UNIX_EPOCH).map_err(|_| bad("time"))?;
    // Of several lines, the one that was made soonest has the best time.
    let epoch = time.saturating_sub(at);
    run.epoch = Some(run.epoch.map_or(epoch, |known| known.min(epoch)));
    Ok(())
}

/// What a line says about a probe.
#[derive(Clone, Copy)]
enum Kind {
    Reply,
    Late,
    Lost,
}

#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Line {
    Start(Start),
    Reply(Probe),
    Late(Probe),
    Lost(Probe),
    Suspects(Suspicion),
    Summary {
        target: String,
        sent: u64,
        lost: u64,
        #[serde(default)]
        lost_causes: Vec<LostBy>,
    },
    Suppressed,
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Start {
    schema_version: u32,
    tool: String,
    target: Option<String>,
    address: Option<String>,
    name_bytes: Option<usize>,
    run_id: Option<u16>,
    #[serde(default)]
    local: Vec<String>,
    timeout_s: Option<f64>,
    trace_on_loss: Option<f64>,
    peer: Option<String>,
}

impl Start {
    fn open(self, line: u64) -> Result<TargetRun, RunError> {
        if self.tool != "hello-ping" {
            return Err(RunError::OtherTool { tool: self.tool });
        }
        if self.schema_version != SCHEMA_VERSION {
            return Err(RunError::Schema { version: self.schema_version });
        }
        let run_id = self.run_id.ok_or(RunError::NoRunId)?;
        let bad = |field| RunError::Field { line, field };
        let peer = match self.peer.as_deref() {
            Some("hello") => Peer::Hello,
            Some("echo") => Peer::Echo,
            _ => return Err(bad("peer")),
        };
        let local = self.local.iter().map(|local| address(local)).collect::<Option<Vec<_>>>();
        let plan = JoinPlan {
            run_id,
            peer,
            name_len: self.name_bytes.ok_or_else(|| bad("name_bytes"))?,
            timeout: self.timeout_s.and_then(seconds).ok_or_else(|| bad("timeout_s"))?,
            server: self.address.as_deref().and_then(address).ok_or_else(|| bad("address"))?,
            local: local.ok_or_else(|| bad("local"))?,
        };
        let target = self.target.ok_or_else(|| bad("target"))?;
        let flows = plan.local.len();
        Ok(TargetRun {
            target,
            join: Join::new(plan),
            sent: None,
            lost: None,
            causes: vec![],
            suspicion: None,
            threshold: self.trace_on_loss.unwrap_or_default(),
            flows,
            epoch: None,
        })
    }
}

#[derive(Deserialize)]
struct Probe {
    target: String,
    seq: u32,
    flow: usize,
    at_s: f64,
    rtt_ms: Option<f64>,
    sent_s: Option<f64>,
    time: String,
}

/// Returns a number of seconds as a duration, to the nearest nanosecond.
fn seconds(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}

/// Reads an address with its port. A zone is only known to the machine that sent.
fn address(text: &str) -> Option<SocketAddr> {
    let plain = match (text.find('%'), text.find(']')) {
        (Some(start), Some(end)) if start < end => text[..start].to_owned() + &text[end..],
        _ => text.to_owned(),
    };
    plain.parse().ok()
}

/// The longest line, in bytes: a summary of 65,535 flows has fewer.
const MAX_LINE: u64 = 1 << 25;

#[cfg(test)]
mod tests;
