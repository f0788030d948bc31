//! The plot of traced paths.

use hello_measure::{PathEnd, PathNode, millis};

use crate::output::escape::Escaped;
use crate::output::format::{count, exact};
use crate::output::plot::canvas::{Canvas, Style};
use crate::output::plot::paths::{self, Picture};
use crate::ping::output::text::paths::{ends, flows, shown, suspects};
use crate::ping::traced::{Fault, Traced};

/// Draws the paths of each target, at least one.
pub(crate) fn draw(traces: &[Traced]) -> String {
    let title = match traces {
        [traced] => format!("Paths to {}", name(traced)),
        _ => format!("Paths to {}", count(traces.len() as u64, "target")),
    };
    let target = &traces[0].target;
    let several = count(target.flows as u64, "flow");
    let parameters =
        format!("{several}, {}-byte names; {}", target.name_len, target.started_at.seconds());
    with_pictures(traces, |pictures| paths::draw(&title, &parameters, pictures))
}

/// Draws them below other things, and returns where they end.
pub(crate) fn draw_below(canvas: &mut Canvas, y: f64, traces: &[Traced]) -> f64 {
    let y = canvas.paragraph(y + 12.0, Style::Strong, "Paths");
    with_pictures(traces, |pictures| paths::draw_below(canvas, y, pictures))
}

fn with_pictures<T>(traces: &[Traced], draw: impl FnOnce(&[Picture<'_>]) -> T) -> T {
    let tables = Vec::from_iter(traces.iter().map(Traced::table));
    let pictures = traces.iter().zip(&tables).map(|(traced, table)| {
        let reached =
            traced.paths.iter().filter(|path| matches!(path.end, PathEnd::Reached { .. }));
        let servers = reached.filter_map(|path| path.hops.last()).flat_map(|hop| &hop.routers);
        Picture {
            name: name(traced),
            address: traced.target.address,
            paths: &traced.paths,
            rows: shown(table.rows()),
            losing: &traced.losing,
            lose: match traced.fault {
                Fault::Loss(_) => "losing flows",
                Fault::NoGreeting => "unanswered flows",
            },
            suspects: traced.suspects().iter().map(|suspect| suspect.address).collect(),
            servers: servers.map(|router| router.address).collect(),
            details: if traced.target.flows > 1 { with_flows } else { without_flows },
            verdicts: ends(traced).into_iter().chain(suspects(traced).map(|it| it.1)).collect(),
        }
    });
    draw(&Vec::from_iter(pictures))
}

fn name(traced: &Traced) -> String {
    Escaped(traced.target.name.as_bytes()).to_string()
}

fn without_flows(node: &PathNode) -> String {
    let times = node.median_rtt().map(|rtt| format!("{} ms", exact(millis(rtt))));
    let mtu = node.mtu.map(|mtu| format!("MTU {mtu}"));
    Vec::from_iter([times, mtu].into_iter().flatten()).join(", ")
}

fn with_flows(node: &PathNode) -> String {
    let list = flows(&node.flows);
    let of = match &node.flows[..] {
        [flow] => format!("flow {flow}"),
        _ if list.ends_with('s') => list,
        _ => format!("flows {list}"),
    };
    let rest = without_flows(node);
    if rest.is_empty() { of } else { format!("{rest}, {of}") }
}

#[cfg(test)]
mod tests {
    use hello_net::ZonedAddr;

    use super::*;
    use crate::output::plot::tests::texts;
    use crate::ping::Target;
    use crate::ping::fixtures::{GREETED, path, traced};

    #[test]
    fn routers_on_the_link_have_its_zone() {
        let mut path = path(0, &[1], GREETED);
        path.hops[0].routers[0].address = "fe80::1".parse().expect("an address");
        let mut traced = traced(vec![path], &[]);
        traced.target.address = ZonedAddr("[fe80::9%4294967295]:9999".parse().expect("one"));
        let texts = texts(&draw(&[traced]));
        assert!(texts.iter().any(|text| text == "fe80::1%4294967295"), "{texts:?}");
    }

    #[test]
    fn plot_has_the_routers_with_their_flows_and_the_verdict() {
        let paths = vec![
            path(0, &[1, 2, 4], GREETED),
            path(1, &[1, 3, 4], GREETED),
            path(2, &[1, 0, 4], PathEnd::Silent),
        ];
        let one = traced(paths, &[1]);
        let hostile = Target { name: "a<b>\x1b&c:1".into(), ..one.target.clone() };
        let other = Traced { target: hostile, ..one.clone() };
        let alone = traced(vec![path(0, &[1], GREETED)], &[]);
        for (traces, expected) in [
            (
                vec![one.clone()],
                &[
                    "Paths to 192.0.2.1:9999",
                    "3 flows, 16-byte names; 2024-11-26T19:40:00Z",
                    "10.80.2.2",
                    "2.000 ms, flow 0",
                    "1.000 ms, flows 0-2",
                    "losing flows",
                    "no answer",
                    "Flows 0-1: 192.0.2.1:9999 replies at hop 4.",
                ][..],
            ),
            (vec![one, other], &["Paths to 2 targets", r"a<b>\u{1b}&c:1"]),
            (vec![alone], &["1 flow, 16-byte names; 2024-11-26T19:40:00Z", "1.000 ms"]),
        ] {
            let texts = texts(&draw(&traces));
            for text in expected {
                assert!(texts.iter().any(|other| other == text), "{text} {texts:?}");
            }
        }
    }
}
