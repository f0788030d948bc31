//! Captures that were not taken at the server.

use super::*;

#[test]
fn capture_of_replies_that_passed_a_router_does_not_blame_the_server() {
    let beyond = Place::Unknown(Doubt::NotAtServer);
    for (ttl, at_server, place) in [
        (None, None, Place::Server),
        (Some(32), Some(true), Place::Server),
        (Some(64), Some(true), Place::Server),
        (Some(128), Some(true), Place::Server),
        (Some(255), Some(true), Place::Server),
        (Some(63), Some(false), beyond),
        (Some(127), Some(false), beyond),
        (Some(1), Some(false), beyond),
    ] {
        let joined = three_losses_with(ttl).finish();
        let places = Vec::from_iter(joined.verdicts.iter().map(|verdict| verdict.place));
        assert_eq!(places, [Place::There, place, Place::Back], "{ttl:?}");
        assert_eq!(joined.summary.at_server, at_server);
        assert!(joined.summary.complete, "absence is a proof of what passed the capture");
    }
}

#[test]
fn host_that_forwards_to_its_containers_is_at_the_server() {
    let mut scene = three_losses_with(Some(63));
    scene.ttl = Some(64);
    scene.reply(1, SECOND + 11 * MS);
    assert_eq!(scene.places(), [Place::There, Place::Server, Place::Back]);
}

#[test]
fn delay_beyond_a_router_is_not_that_of_the_server() {
    let places = |ttl| {
        let mut scene = three_losses_with(ttl);
        scene.probe(8, ProbeOutcome::Late { rtt: 2 * SECOND });
        scene.request(8, SECOND * 8 + 10 * MS);
        scene.reply(8, SECOND * 10 - 20 * MS);
        scene.places()
    };
    assert_eq!(places(Some(64)).last(), Some(&Place::Server));
    assert_eq!(places(Some(63)).last(), Some(&Place::Unknown(Doubt::NotAtServer)));
}

/// Returns a scene with three losses, all packets of which have this TTL.
fn three_losses_with(ttl: Option<u8>) -> Scene {
    let mut scene = Scene { ttl, ..Scene::new(1) };
    lose_three(&mut scene);
    scene
}
