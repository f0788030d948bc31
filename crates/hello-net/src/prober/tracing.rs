//! Traces of paths, by the sockets of the probes and from the receiving thread.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use hello_measure::{Cause, CauseKind, Path, PathTracer, TracePlan, quoted_token};
use hello_proto::{Peer, Token};

use super::event::{ProbeEvent, ProbeEventKind};
use super::plan::ProbePlan;
use super::run::Run;
use super::source_port::SourcePort;
use super::state::State;
use crate::requester;
use crate::sys;
use crate::udp::earlier_send::send_past_reports;

/// The traces of a run. Their tokens have a run id of their own, so that nothing is counted twice.
#[derive(Debug)]
pub(super) struct Tracing {
    tracer: PathTracer,
    peer: Peer,
    name: Vec<u8>,
    /// Whether the TTL of no other probe may end on the path.
    is_only_to_expire: bool,
}

impl Tracing {
    /// Prepares traces between two addresses, of which the second is the server's.
    pub(super) fn new(
        [source, target]: [IpAddr; 2],
        plan: &ProbePlan,
        trace: TracePlan,
        run_id: u16,
    ) -> Self {
        // Any but that of the probes.
        let other = requester::run_id();
        let run_id = if other == run_id { !run_id } else { other };
        let first = Token { run_id, seq: Token::FIRST_SEQ };
        let [source, target] = [source, target].map(|address| address.to_canonical());
        let tracer = PathTracer::new(target, first, trace).with_source(source);
        let is_only_to_expire = plan.packet.ttl.is_none();
        Self { tracer, peer: plan.peer, name: vec![0; plan.name_len], is_only_to_expire }
    }

    pub(super) fn add_flows(&mut self, flows: &[usize]) {
        for &flow in flows {
            self.tracer.add_flow(flow);
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.tracer.is_done()
    }

    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        self.tracer.poll_timeout()
    }

    /// Records a datagram from the server. Returns whether it answers a probe of a trace.
    pub(super) fn handle_datagram(&mut self, flow: usize, datagram: &[u8], at: Duration) -> bool {
        let name =
            self.peer.decode_name(datagram).ok().filter(|name| name.len() == self.name.len());
        let token = name.and_then(Token::decode);
        token.is_some_and(|token| self.tracer.handle_reply(flow, token, at))
    }

    /// Records an ICMP error. Returns whether it is about a probe of a trace. `is_alone` tells that the
    /// port sent no other probes.
    pub(super) fn handle_error(
        &mut self,
        flow: usize,
        quote: &[u8],
        cause: Cause,
        is_alone: bool,
    ) -> bool {
        let now = sys::monotonic();
        match quoted_token(quote, self.name.len()) {
            Some(token) => self.tracer.handle_error(flow, Some(token), cause, now),
            None if quote.len() < Token::MIN_LEN
                && (is_alone || self.is_only_to_expire && cause.kind == CauseKind::TtlExceeded) =>
            {
                self.tracer.handle_error(flow, None, cause, now)
            }
            None => false,
        }
    }

    /// Sends the probes that are due.
    pub(super) fn send(&mut self, ports: &[SourcePort]) {
        while let Some(probe) = self.tracer.poll_probe(sys::monotonic()) {
            // The length of the name was checked before.
            let _ = probe.token.encode(&mut self.name);
            let mut at = sys::monotonic();
            let (sent, _): (io::Result<()>, _) = send_past_reports(|| {
                at = sys::monotonic();
                ports[probe.flow].send_with_ttl(&self.name, probe.ttl)
            });
            match sent {
                Ok(()) => self.tracer.handle_sent(probe, at),
                Err(_) => self.tracer.handle_not_sent(probe, at),
            }
        }
    }

    fn poll_path(&mut self) -> Option<Path> {
        self.tracer.poll_path().cloned()
    }
}

impl<O: Fn(&ProbeEvent<'_>)> Run<'_, O> {
    /// Begins the traces that were requested.
    pub(super) fn begin_traces(&self, state: &mut State) {
        if let Some(tracing) = &mut state.tracing {
            let sent_all = self.prober.sent_all.is_raised();
            tracing.add_flows(&self.prober.traces.take(self.prober.ports.len(), sent_all));
        }
    }

    /// Sends the trace's probes that are due, and shows each path that is complete.
    pub(super) fn trace(&self, now: Duration) {
        while let Some(path) = {
            let mut state = self.state();
            state.tracing.as_mut().and_then(|tracing| {
                tracing.send(&self.prober.ports);
                tracing.poll_path()
            })
        } {
            self.notify(now, path.flow, ProbeEventKind::Traced(&path));
        }
    }

    /// Ends the traces, and shows each path that was not shown, as far as it is known.
    pub(super) fn finish_traces(&self, now: Duration) {
        if let Some(tracing) = &mut self.state().tracing {
            tracing.tracer.finish();
        }
        self.trace(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 80, 1, 9));
    const SERVER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 80, 4, 2));

    #[test]
    fn error_whose_quote_is_padded_is_about_the_probe() {
        let plan = ProbePlan { name_len: 16, ..ProbePlan::DEFAULT };
        let mut tracing = Tracing::new([SOURCE, SERVER], &plan, TracePlan::default(), 0xbeef);
        tracing.add_flows(&[0]);
        let probe = tracing.tracer.poll_probe(sys::monotonic()).expect("hop 1");
        // Zeros up to 128 bytes with both headers, and extensions (RFC 4884 sections 4 and 5).
        let mut quote = [0; 100 + 12];
        probe.token.encode(&mut quote[..plan.name_len]).expect("long enough");
        quote[100] = 0x20;
        let router = IpAddr::from([10, 80, 1, 1]);
        let cause = Cause { kind: CauseKind::TtlExceeded, reporter: Some(router) };
        let mut forged = quote;
        forged[plan.name_len - 1] ^= 1;
        assert!(!tracing.handle_error(0, &forged, cause, true));
        assert!(tracing.handle_error(0, &quote, cause, true));
        let path = tracing.tracer.paths().next().expect("one");
        assert_eq!(path.hops[0].routers[0].address, router);
    }
}
