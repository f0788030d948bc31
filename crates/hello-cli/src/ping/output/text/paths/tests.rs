use std::num::NonZeroUsize;

use anstream::adapter::strip_str;
use hello_measure::{Cause, CauseKind};

use super::*;
use crate::ping::Target;
use crate::ping::fixtures::{GREETED, path, traced};

fn printed(traced: &Traced, width: Option<usize>) -> String {
    let layout = Layout { width: width.and_then(NonZeroUsize::new), unicode: false };
    strip_str(&paths(layout, traced)).to_string()
}

#[test]
fn path_of_one_flow_has_a_row_for_each_hop_and_a_star_for_silence() {
    let mut path = path(0, &[1, 0, 3], GREETED);
    path.hops[2].routers[0].mtu = Some(1400);
    let expected = "\
hop  router     rtt ms   mtu
  1  10.80.1.2   1.000     -
  2  *               -     -
  3  10.80.3.2   3.000  1400
  4  192.0.2.1   4.000     -
192.0.2.1:9999 replies at hop 4.";
    assert_eq!(printed(&traced(vec![path], &[]), None), expected);
}

#[test]
fn paths_of_several_flows_are_merged_and_routers_of_losing_flows_named() {
    let paths = vec![
        path(0, &[1, 2, 4], GREETED),
        path(1, &[1, 3, 4], GREETED),
        path(2, &[1, 2, 4], GREETED),
        path(3, &[1, 3, 4], GREETED),
    ];
    let expected = "\
hop  router     flows  rtt ms
  1  10.80.1.2    0-3   1.000
  2  10.80.2.2    0,2   2.000
     10.80.3.2    1,3   2.000
  3  10.80.4.2    0-3   3.000
  4  192.0.2.1    0-3   4.000
Flows 0-3: 192.0.2.1:9999 replies at hop 4.
All 2 losing flows pass 10.80.3.2 (hop 2); no other flow does.";
    let traced = traced(paths, &[1, 3]);
    assert_eq!(printed(&traced, None), expected);
    for width in [40, 60, 80] {
        let text = printed(&traced, Some(width));
        assert!(text.lines().all(|line| line.chars().count() <= width), "{width}\n{text}");
        let words = |text: &str| Vec::from_iter(text.split_whitespace().map(str::to_owned));
        assert_eq!(words(&text), words(expected), "{width}");
    }
}

#[test]
fn other_kind_of_server_has_a_hint() {
    let silent = traced(vec![path(0, &[0], PathEnd::Silent)], &[0]);
    let other = Traced { has_other_peer: true, ..silent.clone() };
    let hint = "\n192.0.2.1:9999 replies otherwise: if this is an echo server, add --peer echo.";
    assert_eq!(printed(&other, None), printed(&silent, None) + hint);
}

#[test]
fn verdict_claims_no_more_than_the_paths_show() {
    let verdict = |traced: &Traced| suspects(traced).map(|(_, line)| line);
    let two = |clean: &[u8]| vec![path(0, &[1, 2, 4], GREETED), path(1, clean, GREETED)];
    let other = traced(two(&[1, 3, 4]), &[0]);
    let unanswered = Traced { fault: Fault::NoGreeting, ..other.clone() };
    let three = Target { flows: 3, ..other.target.clone() };
    for (traced, expected) in [
        (other.clone(), "The losing flow 0 passes 10.80.2.2 (hop 2); no other flow does."),
        (
            traced(two(&[1, 3, 0, 4]), &[0]),
            "The losing flow 0 passes 10.80.2.2 (hop 2); no other flow is known to: some of their \
             hops are silent.",
        ),
        (
            traced(two(&[1, 0, 4]), &[0]),
            "No router is known to be on the path of the losing flow 0 only.",
        ),
        (
            traced(two(&[5, 6, 4]), &[0]),
            "The losing flow 0 passes 10.80.1.2 (hop 1) and 10.80.2.2 (hop 2); no other flow does.",
        ),
        (
            traced(two(&[1, 3, 4]), &[0, 1]),
            "None of the 2 flows is without loss, so no router stands out.",
        ),
        (unanswered.clone(), "The unanswered flow 0 passes 10.80.2.2 (hop 2); no other flow does."),
        (
            Traced { target: three.clone(), ..other.clone() },
            "The losing flow 0 passes 10.80.2.2 (hop 2); no flow without loss does.",
        ),
        (
            Traced { target: three.clone(), ..unanswered.clone() },
            "The unanswered flow 0 passes 10.80.2.2 (hop 2); no answered flow does.",
        ),
        (
            Traced { target: three.clone(), clean: vec![], ..unanswered.clone() },
            "No flow is known to be answered, so no router stands out.",
        ),
        (
            Traced { losing: vec![0, 1], clean: vec![], ..unanswered.clone() },
            "None of the 2 flows is answered, so no router stands out.",
        ),
        (
            Traced { fault: Fault::Loss(0.1), ..other.clone() },
            "Flow 0, which loses more than 10%, passes 10.80.2.2 (hop 2); no other flow does.",
        ),
        (
            Traced {
                fault: Fault::Loss(0.07),
                target: Target { flows: 4, ..other.target.clone() },
                losing: vec![0, 2],
                paths: vec![
                    other.paths[0].clone(),
                    other.paths[1].clone(),
                    path(2, &[1, 2], GREETED),
                ],
                ..other.clone()
            },
            "All 2 flows that lose more than 7% pass 10.80.2.2 (hop 2); no flow that loses 7% or less \
             does.",
        ),
        (
            Traced { fault: Fault::Loss(0.005), ..traced(two(&[1, 0, 4]), &[0]) },
            "No router is known to be only on the path of flow 0, which loses more than 0.5%.",
        ),
        (
            Traced { fault: Fault::Loss(0.5), ..traced(two(&[1, 3, 4]), &[0, 1]) },
            "None of the 2 flows loses 50% or less, so no router stands out.",
        ),
    ] {
        assert_eq!(verdict(&traced).as_deref(), Some(expected));
    }
    assert_eq!(verdict(&traced(two(&[1, 3, 4]), &[])), None);
    assert_eq!(verdict(&traced(vec![path(0, &[1], GREETED)], &[0])), None);
}

#[test]
fn each_end_has_a_sentence_and_flows_with_the_same_end_share_it() {
    let cause = |kind| PathEnd::Unreachable(Cause { kind, reporter: Some([10, 80, 1, 2].into()) });
    for (end, sentence) in [
        (GREETED, "192.0.2.1:9999 replies at hop 2."),
        (
            PathEnd::Reached { greeted: false },
            "192.0.2.1 is at hop 2, but refuses probes: no server on that port, or a firewall.",
        ),
        (cause(CauseKind::Prohibited), "10.80.1.2 rejects probes: administratively prohibited."),
        (
            cause(CauseKind::TooBig { mtu: Some(1400) }),
            "10.80.1.2 rejects probes: too big, MTU 1400.",
        ),
        (PathEnd::Silent, "No answer from beyond hop 1."),
        (PathEnd::MaxHops, "192.0.2.1:9999 is not reached within 1 hop."),
        (PathEnd::NotSent, "Probes could not be sent."),
        (PathEnd::Unfinished, "The trace was ended early."),
    ] {
        assert_eq!(ends(&traced(vec![path(0, &[1], end)], &[])), [sentence]);
    }
    let paths =
        vec![path(0, &[1], GREETED), path(1, &[0], PathEnd::Silent), path(2, &[1], GREETED)];
    let expected =
        ["Flows 0,2: 192.0.2.1:9999 replies at hop 2.", "Flow 1: No answer from any hop."];
    assert_eq!(ends(&traced(paths, &[])), expected);
}

#[test]
fn silent_hops_at_the_end_have_one_row() {
    let silent = traced(vec![path(0, &[1, 0, 3, 0, 0, 0, 0, 0], PathEnd::Silent)], &[]);
    let text = printed(&silent, None);
    assert_eq!(text.lines().filter(|line| line.contains('*')).count(), 2, "{text}");
    let unknown = traced(vec![path(0, &[0, 0, 0, 0, 0], PathEnd::Silent)], &[]);
    assert_eq!(shown(unknown.table().rows()).len(), 1);
    assert_eq!(shown(&[]).len(), 0);
}

#[test]
fn routers_on_the_link_have_its_zone() {
    let router: IpAddr = "fe80::1".parse().expect("an address");
    let mut losing = path(0, &[1], GREETED);
    losing.hops[0].routers[0].address = router;
    losing.end =
        PathEnd::Unreachable(Cause { kind: CauseKind::Prohibited, reporter: Some(router) });
    let mut traced = traced(vec![losing, path(1, &[2], GREETED)], &[0]);
    traced.target.address = ZonedAddr("[fe80::9%4294967295]:9999".parse().expect("an address"));
    let text = printed(&traced, None);
    for part in [
        "  1  fe80::1%4294967295 ",
        "\nFlow 0: fe80::1%4294967295 rejects probes: administratively prohibited.",
        "\nThe losing flow 0 passes fe80::1%4294967295 (hop 1);",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn path_without_hops_has_no_table() {
    let none = traced(vec![path(0, &[], PathEnd::NotSent)], &[]);
    assert_eq!(printed(&none, None), "Probes could not be sent.");
}

#[test]
fn flows_are_listed_as_ranges_unless_there_are_too_many() {
    for (list, expected) in [
        (&[][..], ""),
        (&[3], "3"),
        (&[0, 1, 2, 5, 7, 8], "0-2,5,7-8"),
        (&[0, 2, 4, 6, 8, 10, 12, 14], "8 flows"),
    ] {
        assert_eq!(flows(list), expected);
    }
}

#[test]
fn sentence_about_too_many_flows_to_list_has_their_number() {
    let paths = (0..20).map(|flow| path(flow, &[1, 2], GREETED)).collect();
    let odd = Vec::from_iter((1..20).step_by(2));
    let ended = |path: &Path| match path.flow % 2 {
        0 => path.clone(),
        _ => Path { end: PathEnd::NotSent, ..path.clone() },
    };
    let mut traced = traced(paths, &odd);
    traced.paths = traced.paths.iter().map(ended).collect();
    let (_, sentence) = suspects(&traced).expect("losing flows");
    assert_eq!(sentence, "No router is known to be on the paths of the 10 losing flows only.");
    assert_eq!(ends(&traced)[1], "10 flows: Probes could not be sent.");
}

#[test]
fn router_that_separates_the_losing_flows_well_is_named() {
    let router = |flow| if flow < 10 { 2 } else { 3 };
    let paths = (0..16).map(|flow| path(flow, &[1, router(flow), 4], GREETED)).collect();
    let traced = traced(paths, &[0, 1, 2, 3, 4, 5, 6, 7, 9]);
    let expected = "9 of the 10 flows through 10.80.2.2 (hop 2) lose, none of the other 6.";
    assert_eq!(suspects(&traced), Some((true, expected.to_owned())));
    let above = Traced { fault: Fault::Loss(0.1), ..traced };
    let expected = expected.replace("lose", "lose more than 10%");
    assert_eq!(suspects(&above), Some((true, expected)));
}
