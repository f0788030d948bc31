use hello_measure::{Hop, HopRouter, PathEnd, PathTable};

use super::super::tests::texts;
use super::*;

fn address(layer: usize, router: usize) -> IpAddr {
    [10, 80, u8::try_from(layer).expect("few"), u8::try_from(router).expect("few")].into()
}

/// A path through the router of each layer with the given number; 0 is silent.
fn path(flow: usize, routers: &[usize]) -> Path {
    let hop = |(ttl, router): (u8, &usize)| Hop {
        ttl,
        routers: (*router > 0)
            .then(|| HopRouter::new(address(ttl.into(), *router)))
            .into_iter()
            .collect(),
        unanswered: 0,
    };
    Path { flow, hops: (1..).zip(routers).map(hop).collect(), end: PathEnd::Silent }
}

fn drawn(paths: &[Path], losing: &[usize], suspects: &[IpAddr], names: &[&str]) -> String {
    let table = PathTable::new(paths);
    let details: fn(&PathNode) -> String =
        |node| format!("1.000 ms, flows {:?}", node.flows.first());
    let picture = |name: &&str| Picture {
        name: (*name).to_owned(),
        address: ZonedAddr(([192, 0, 2, 1], 9999).into()),
        paths,
        rows: table.rows(),
        losing,
        lose: "losing flows",
        suspects: suspects.iter().copied().collect(),
        servers: BTreeSet::new(),
        details,
        verdicts: vec!["A sentence about the end of the path of each flow. ".repeat(5)],
    };
    draw("Paths", "8 flows", &Vec::from_iter(names.iter().map(picture)))
}

#[test]
fn nothing_in_a_plot_of_paths_overlaps_or_is_cut_off_whatever_the_paths() {
    let flows = |number: usize, hops: usize, routers: usize| {
        let path_of = |flow: usize| {
            let router = |hop: usize| (flow * 7 + hop * flow) % (routers + 1);
            path(flow, &Vec::from_iter((0..hops).map(router)))
        };
        Vec::from_iter((0..number).map(path_of))
    };
    for paths in [
        vec![],
        vec![path(0, &[])],
        vec![path(0, &[0])],
        flows(1, 1, 1),
        flows(1, 30, 1),
        flows(2, 5, 2),
        flows(16, 12, 3),
        flows(64, 30, 20),
    ] {
        let losing = Vec::from_iter((0..paths.len()).step_by(3));
        texts(&drawn(&paths, &losing, &[], &["192.0.2.1:9999"]));
        texts(&drawn(&paths, &[], &[address(2, 1)], &["a<b>&\"c':9", &"W".repeat(230)]));
    }
}

#[test]
fn losing_flows_and_suspects_are_marked() {
    let paths = [path(0, &[1, 1, 1]), path(1, &[1, 2, 1]), path(2, &[1, 2, 1])];
    let count = |svg: &str, color: &str, rest: &str| {
        let is_one = |line: &&str| {
            line.starts_with("<path")
                && line.contains(&format!("stroke=\"{color}\""))
                && line.contains(rest)
        };
        svg.lines().filter(is_one).count()
    };
    let clean = drawn(&paths, &[], &[], &["a"]);
    // One in the legend, and one for each of the five connections.
    assert_eq!(count(&clean, BLUE, "fill=\"none\""), 6);
    assert_eq!(count(&clean, VERMILLION, ""), 0);
    let losing = drawn(&paths, &[1, 2], &[address(2, 2)], &["a"]);
    // The losing flows use three of them, one of which they share.
    assert_eq!(count(&losing, VERMILLION, "stroke-dasharray"), 1 + 3);
    assert_eq!(count(&losing, BLUE, "fill=\"none\""), 1 + 3);
    let texts = texts(&losing);
    assert!(texts.iter().any(|text| text == "only losing flows pass"), "{texts:?}");
    // The suspect, in the picture and in the legend.
    assert_eq!(count(&losing, VERMILLION, "fill=\"#"), 2);
}

#[test]
fn each_router_has_a_name_and_hops_with_many_show_how_many_are_left_out() {
    let paths = Vec::from_iter((0..20).map(|flow| path(flow, &[1, flow + 1])));
    let texts = texts(&drawn(&paths, &[], &[], &["a"]));
    let has = |text: &str| texts.iter().any(|other| other == text);
    assert!(has("10.80.1.1") && has("10.80.2.1") && has("10.80.2.11"), "{texts:?}");
    assert!(has("9 more routers") && !has("10.80.2.12"), "{texts:?}");
}
