//! The outages of each direction.

use super::*;

#[test]
fn outages_are_those_of_one_place() {
    let mut scene = Scene::new(1);
    scene.answered([1, 2, 8, 9]);
    (3..=7).for_each(|seq| scene.probe(seq, ProbeOutcome::Lost));
    // Two are lost there, one is not answered, and two are lost on the way back.
    (5..=7).for_each(|seq| scene.request(seq, SECOND * seq));
    (6..=7).for_each(|seq| scene.reply(seq, SECOND * seq));
    let outages = scene.finish().summary.outages;
    assert_eq!((outages.there.count, outages.server.count, outages.back.count), (1, 0, 1));
    assert_eq!((outages.there.max_probes, outages.server.scattered), (2, 1));
    let first = |outages: &crate::OutageSummary| outages.longest[0].first_seq;
    assert_eq!((first(&outages.there), first(&outages.back)), (Some(3), Some(6)));
    assert_eq!(outages.there.longest[0].duration_s, 2.0);
}
