//! Paths in text: a table of the hops, and sentences about the ends and the losing flows.

use std::net::IpAddr;

use hello_measure::{Path, PathEnd, PathNode, PathRow, Separation, Suspect, millis};
use hello_net::ZonedAddr;

use crate::output::cause::reporter as router_text;
use crate::output::escape::Escaped;
use crate::output::format::{count, exact, known, without_zeros};
use crate::output::layout::Layout;
use crate::output::style::{BAD, STRONG, paint};
use crate::output::table::{Head, table};
use crate::ping::Target;
use crate::ping::traced::{Fault, Traced};

/// Returns the first line of a trace.
pub fn header(target: &Target, max_hops: u8) -> String {
    let Target { name, address, name_len, flows, .. } = target;
    let (name, host) = (Escaped(name.as_bytes()), address.host());
    let (flows, hops) = (count(*flows as u64, "flow"), count(max_hops.into(), "hop"));
    format!("TRACE {name} ({host}): {flows}, at most {hops}, {name_len}-byte names")
}

/// Returns the paths of each target, below a heading if there are several.
pub fn all(layout: Layout, traces: &[Traced]) -> Vec<String> {
    let several = traces.len() > 1;
    let text = |traced: &Traced| match (several, paths(layout, traced)) {
        (true, paths) => format!("\n{}\n{paths}", heading(traced)),
        (false, paths) => paths,
    };
    traces.iter().map(text).collect()
}

/// Returns the line above the paths of one of several targets.
pub fn heading(traced: &Traced) -> String {
    let name = Escaped(traced.target.name.as_bytes());
    paint(STRONG, format!("--- {name} paths ---"))
}

/// Returns the table of a target's paths, and the sentences below it.
pub fn paths(layout: Layout, traced: &Traced) -> String {
    let mut lines = Vec::new();
    if traced.paths.iter().any(|path| !path.hops.is_empty()) {
        lines.push(hops(layout, traced));
    }
    lines.extend(ends(traced).iter().map(|line| layout.wrap(line)));
    if traced.has_other_peer {
        let Target { address, peer, .. } = &traced.target;
        lines.push(layout.wrap(&format!("{address} replies otherwise: {}.", peer.hint())));
    }
    if let Some((is_found, line)) = suspects(traced) {
        let style = if is_found { BAD } else { STRONG };
        lines.extend(layout.wrap(&line).lines().map(|line| paint(style, line)));
    }
    lines.join("\n")
}

/// Returns a row for each router of each hop, with the flows through it if there are several.
fn hops(layout: Layout, traced: &Traced) -> String {
    let paths = traced.table();
    let rows = shown(paths.rows());
    let nodes = || rows.iter().flat_map(|row| &row.nodes);
    let (has_flows, has_mtu) = (traced.paths.len() > 1, nodes().any(|node| node.mtu.is_some()));
    let mut heads: Vec<Head> = vec![("hop", 0), ("router", 0)];
    if has_flows {
        heads.push(("flows", 0));
    }
    heads.push(("rtt ms", 1));
    if has_mtu {
        heads.push(("mtu", 0));
    }
    let cells = |ttl: String, node: &PathNode| {
        let router = |address: IpAddr| router_text(address, traced.target.address);
        let mut cells = vec![ttl, known(node.address, router)];
        if node.address.is_none() {
            cells[1] = "*".into();
        }
        if has_flows {
            cells.push(flows(&node.flows));
        }
        cells.push(known(node.median_rtt(), |rtt| exact(millis(rtt))));
        if has_mtu {
            cells.push(known(node.mtu, |mtu| mtu.to_string()));
        }
        cells
    };
    let rows = rows.iter().flat_map(|row| {
        let first = [row.ttl.to_string()].into_iter().chain(std::iter::repeat(String::new()));
        row.nodes.iter().zip(first).map(|(node, ttl)| cells(ttl, node))
    });
    table(layout, 1, &heads, rows)
}

/// Returns the rows up to the last router that answered, and the first behind it.
pub(crate) fn shown(rows: &[PathRow]) -> &[PathRow] {
    let is_silent = |row: &&PathRow| row.nodes.iter().all(|node| node.address.is_none());
    let silent = rows.iter().rev().take_while(is_silent).count();
    &rows[..rows.len() - silent.saturating_sub(1)]
}

/// Returns a sentence for each kind of end, with the flows that have it if there are several.
pub(crate) fn ends(traced: &Traced) -> Vec<String> {
    let mut ends = Vec::<(String, Vec<usize>)>::new();
    for path in &traced.paths {
        let end = end(traced, path);
        match ends.iter_mut().find(|(other, _)| *other == end) {
            Some((_, flows)) => flows.push(path.flow),
            None => ends.push((end, vec![path.flow])),
        }
    }
    let several = traced.paths.len() > 1;
    let line = |(end, of): (String, Vec<usize>)| match (several, &of[..]) {
        (false, _) => end,
        (true, [flow]) => format!("Flow {flow}: {end}"),
        (true, _) => match ranges(&of) {
            Some(list) => format!("Flows {list}: {end}"),
            None => format!("{}: {end}", flows(&of)),
        },
    };
    ends.into_iter().map(line).collect()
}

fn end(traced: &Traced, path: &Path) -> String {
    let address = traced.target.address;
    let hop = path.hops.len();
    match path.end {
        PathEnd::Reached { greeted: true } => format!("{address} replies at hop {hop}."),
        PathEnd::Reached { greeted: false } => {
            format!(
                "{} is at hop {hop}, but refuses probes: no server on that port, or a firewall.",
                address.host()
            )
        }
        PathEnd::Unreachable(cause) => {
            let by = known(cause.reporter, |reporter| router_text(reporter, address));
            format!("{by} rejects probes: {}.", cause.kind)
        }
        PathEnd::Silent => {
            let last = path.hops.iter().rfind(|hop| !hop.is_silent());
            match last {
                Some(last) => format!("No answer from beyond hop {}.", last.ttl),
                None => "No answer from any hop.".into(),
            }
        }
        PathEnd::MaxHops => {
            format!("{address} is not reached within {}.", count(hop as u64, "hop"))
        }
        PathEnd::NotSent => "Probes could not be sent.".into(),
        _ => "The trace was ended early.".into(),
    }
}

/// Returns a sentence about the routers that only losing flows share, and whether there are any;
/// `None` if there is nothing to compare.
pub(crate) fn suspects(traced: &Traced) -> Option<(bool, String)> {
    let Traced { target, fault, losing, clean, .. } = traced;
    let (suspects, separation) = (&traced.suspects(), traced.separation());
    let (flows, fault, address) = (target.flows, *fault, Some(target.address));
    Comparison { flows, fault, losing, clean, suspects, separation, address }.sentence()
}

/// The flows of a target, compared.
pub(crate) struct Comparison<'a> {
    /// The number of all flows.
    pub flows: usize,
    /// What is wrong with the losing flows.
    pub fault: Fault,
    /// The losing flows.
    pub losing: &'a [usize],
    /// The flows to compare them with.
    pub clean: &'a [usize],
    /// The routers that only losing flows share.
    pub suspects: &'a [Suspect],
    /// The router that best separates them, if it is known.
    pub separation: Option<Separation>,
    /// The address of the target, which has the zone of routers on its link; `None` on another machine.
    pub address: Option<ZonedAddr>,
}

impl Comparison<'_> {
    /// Returns a sentence about the suspects, and whether there are any; `None` if there is nothing to
    /// compare.
    pub(crate) fn sentence(&self) -> Option<(bool, String)> {
        let Self { flows: all, losing, clean, suspects, address, .. } = *self;
        if losing.is_empty() || all < 2 {
            return None;
        }
        if clean.is_empty() {
            // Others may not have been traced to the end.
            if matches!(self.fault, Fault::NoGreeting) && losing.len() < all {
                let none = "No flow is known to be answered, so no router stands out.";
                return Some((false, none.into()));
            }
            let (all, is) = (count(all as u64, "flow"), self.is_clean());
            return Some((false, format!("None of the {all} {is}, so no router stands out.")));
        }
        let separation = self.separation.filter(|it| it.through + it.others == all);
        if let (true, Some(separation)) = (suspects.is_empty(), separation) {
            return Some((true, self.separated(separation)));
        }
        if suspects.is_empty() {
            let paths = if losing.len() == 1 { "path" } else { "paths" };
            let of = self.losing_flows();
            let line = match self.above() {
                Some(_) => format!("No router is known to be only on the {paths} of {of}."),
                None => format!("No router is known to be on the {paths} of {of} only."),
            };
            return Some((false, line));
        }
        let router = |router: IpAddr| match address {
            Some(target) => router_text(router, target),
            None => router.to_string(),
        };
        let name = |suspect: &Suspect| format!("{} (hop {})", router(suspect.address), suspect.ttl);
        let names = Vec::from_iter(suspects.iter().map(name)).join(" and ");
        let number = losing.len();
        let who = match (losing, self.above()) {
            ([flow], Some(above)) => format!("Flow {flow}, which loses {above}, passes"),
            ([flow], None) => format!("The {} flow {flow} passes", self.lose()),
            (_, Some(above)) => format!("All {number} flows that lose {above} pass"),
            (_, None) => format!("All {number} {} flows pass", self.lose()),
        };
        let other = match (losing.len() + clean.len() == all, self.fault) {
            (false, Fault::Loss(share)) if share > 0.0 => {
                format!("no flow that {}", self.is_clean())
            }
            (false, Fault::Loss(_)) => "no flow without loss".into(),
            (false, Fault::NoGreeting) => "no answered flow".into(),
            (true, _) => "no other flow".into(),
        };
        let does = match suspects.iter().all(|suspect| suspect.is_certain) {
            true => "does",
            false => "is known to: some of their hops are silent",
        };
        Some((true, format!("{who} {names}; {other} {does}.")))
    }

    fn separated(&self, separation: Separation) -> String {
        let Separation { address, ttl, losing, through, others } = separation;
        let lose = match (self.fault, self.above()) {
            (_, Some(above)) => format!("lose {above}"),
            (Fault::Loss(_), None) => "lose".into(),
            (Fault::NoGreeting, _) => "are unanswered".into(),
        };
        let flows = format!("{losing} of the {through} flows through {address} (hop {ttl}) {lose}");
        format!("{flows}, none of the other {others}.")
    }

    /// Returns the loss of the losing flows, if some is not enough.
    fn above(&self) -> Option<String> {
        match self.fault {
            Fault::Loss(share) if share > 0.0 => Some(format!("more than {}", percent(share))),
            _ => None,
        }
    }

    fn lose(&self) -> &'static str {
        match self.fault {
            Fault::Loss(_) => "losing",
            Fault::NoGreeting => "unanswered",
        }
    }

    /// Returns what the other flows do.
    fn is_clean(&self) -> String {
        match self.fault {
            Fault::Loss(share) if share > 0.0 => format!("loses {} or less", percent(share)),
            Fault::Loss(_) => "is without loss".into(),
            Fault::NoGreeting => "is answered".into(),
        }
    }

    fn losing_flows(&self) -> String {
        let (losing, lose) = (self.losing, self.lose());
        let number = losing.len();
        match (losing, ranges(losing), self.above()) {
            ([flow], _, Some(above)) => format!("flow {flow}, which loses {above}"),
            ([flow], _, None) => format!("the {lose} flow {flow}"),
            (_, Some(list), Some(above)) => format!("the flows {list}, which lose {above}"),
            (_, Some(list), None) => format!("the {lose} flows {list}"),
            (_, None, Some(above)) => format!("the {number} flows that lose {above}"),
            (_, None, None) => format!("the {number} {lose} flows"),
        }
    }
}

fn percent(share: f64) -> String {
    // The product of a share and 100 has errors in its last digits.
    format!("{}%", without_zeros(&format!("{:.6}", share * 100.0)))
}

/// Lists flows: `0-3,5`; if there are too many ranges, their number.
pub(crate) fn flows(flows: &[usize]) -> String {
    ranges(flows).unwrap_or_else(|| count(flows.len() as u64, "flow"))
}

/// Lists flows; `None` if there are too many ranges.
fn ranges(flows: &[usize]) -> Option<String> {
    let mut ranges = Vec::<(usize, usize)>::new();
    for &flow in flows {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == flow => *last = flow,
            _ => ranges.push((flow, flow)),
        }
    }
    let range = |(first, last): (usize, usize)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    let list = Vec::from_iter(ranges.into_iter().map(range)).join(",");
    (list.len() <= MAX_LIST).then_some(list)
}

/// The longest list of flows.
const MAX_LIST: usize = 16;

#[cfg(test)]
mod tests;
