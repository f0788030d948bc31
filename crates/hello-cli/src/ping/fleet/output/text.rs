//! Text for people.

use hello_measure::{CompactRecord, Reachability};
use hello_net::{FleetCounts, FleetEventKind, ZonedAddr};

use super::{Plan, Probed};
use crate::output::cause::describe;
use crate::output::escape::Escaped;
use crate::output::format::{count, duration, exact, known, nonzero, thousands};
use crate::output::layout::Layout;
use crate::output::percent;
use crate::output::style::{BAD, paint};
use crate::output::table::table;
use crate::ping::fleet::roster::{Change, Member};

/// Returns the first line.
pub(in super::super) fn header(plan: &Plan<'_>) -> String {
    let Plan { file, targets, unresolved, plan, .. } = plan;
    let mut text = format!(
        "PROBING {} every {} from {}: {} bytes of data.",
        count(*targets as u64, "target"),
        duration(plan.interval),
        Escaped(file.as_bytes()),
        plan.name_len,
    );
    if *unresolved > 0 {
        text += &format!(" {} without an address.", count(*unresolved as u64, "name"));
    }
    text
}

/// Returns the line of a target that became unreachable or answers again.
pub(in super::super) fn state(member: &Member, kind: FleetEventKind) -> String {
    let name = name(member);
    match kind {
        FleetEventKind::Unreachable { cause: Some(cause) } => {
            let target = member.address.map_or(ZonedAddr(([0; 4], 0).into()), ZonedAddr);
            format!("{name}: {}: {}", paint(BAD, "unreachable"), describe(cause, target))
        }
        FleetEventKind::Unreachable { cause: None } => {
            let why = if member.address.is_some() { "probes cannot be sent" } else { "no address" };
            format!("{name}: {}: {why}", paint(BAD, "unreachable"))
        }
        _ => format!("{name}: answers again"),
    }
}

/// Returns the line about a file that was read again.
pub(in super::super) fn reload(
    file: &str,
    targets: usize,
    result: &Result<Change, String>,
) -> String {
    let file = Escaped(file.as_bytes());
    let targets = count(targets as u64, "target");
    match result {
        Ok(Change { added, removed }) => {
            format!("{file}: read again: {targets}, {added} added, {removed} removed")
        }
        Err(error) => {
            let error = paint(BAD, Escaped(error.as_bytes()));
            format!("{error}; the {targets} before are kept")
        }
    }
}

/// Returns the line about a lookup that changed the targets, or failed.
pub(in super::super) fn lookup(name: &str, result: &Result<Change, String>) -> String {
    let name = Escaped(name.as_bytes());
    match result {
        Ok(Change { added, removed }) => {
            format!("{name}: looked up again: {added} added, {removed} removed")
        }
        Err(error) => format!("{name}: {}", paint(BAD, Escaped(error.as_bytes()))),
    }
}

/// Returns the status line of a terminal.
pub(in super::super) fn status<'a>(records: impl Iterator<Item = &'a CompactRecord>) -> String {
    let (mut targets, mut unreachable, mut sent, mut in_flight) = (0, 0, 0, 0);
    for record in records {
        targets += 1;
        unreachable += u64::from(record.reachability() == Reachability::Unreachable);
        sent += record.counts().sent;
        in_flight += record.counts().in_flight();
    }
    let unreachable = match unreachable {
        0 => "0 unreachable".into(),
        some => paint(BAD, format!("{} unreachable", thousands(some))),
    };
    let (targets, sent) = (count(targets, "target"), thousands(sent));
    format!("{targets}  {unreachable}  {sent} sent  {} in flight", thousands(in_flight))
}

/// Returns the table of all targets, and what follows it.
pub(in super::super) fn summary(layout: Layout, targets: &[Probed], counts: FleetCounts) -> String {
    let heads = [
        ("target", 0),
        ("sent", 4),
        ("received", 3),
        ("lost", 5),
        ("not sent", 6),
        ("loss", 0),
        ("min ms", 2),
        ("avg ms", 0),
        ("max ms", 1),
    ];
    let rows = targets.iter().map(|Probed { member, summary, .. }| {
        let rtt = summary.rtt_ms;
        vec![
            name(member),
            thousands(summary.sent),
            thousands(summary.answered),
            thousands(summary.lost),
            thousands(summary.not_sent_total()),
            percent::loss(summary),
            known(rtt.map(|rtt| rtt.min), exact),
            known(rtt.map(|rtt| rtt.mean), exact),
            known(rtt.map(|rtt| rtt.max), exact),
        ]
    });
    let mut text = format!("\n{}\n", table(layout, 0, &heads, rows));
    let FleetCounts { unsolicited, unattributed, dropped, .. } = counts;
    let others = [
        ("datagrams from strangers", unsolicited),
        ("errors about no known probe", unattributed),
        ("datagrams dropped by this system", dropped),
    ];
    text.extend(nonzero(&others).map(|line| format!("{line}\n")));
    let sum = |of: fn(&Probed) -> u64| targets.iter().map(of).sum::<u64>();
    let silent = sum(|target| u64::from(target.summary.answered == 0));
    let (sent, received) = (sum(|one| one.summary.sent), sum(|one| one.summary.answered));
    text += &format!(
        "{}: {} packets transmitted, {} received",
        count(targets.len() as u64, "target"),
        thousands(sent),
        thousands(received),
    );
    if silent > 0 {
        let silent = format!("{} never answered", count(silent, "target"));
        text += &format!(", {}", paint(BAD, silent));
    }
    text
}

/// Returns the name of a target, escaped for printing: `192.0.2.1:9999 (node.test)`.
fn name(member: &Member) -> String {
    let target = Escaped(member.target.as_bytes());
    match &member.name {
        Some(name) => format!("{target} ({})", Escaped(name.as_bytes())),
        None => target.to_string(),
    }
}
