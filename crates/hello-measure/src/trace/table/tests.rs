use super::super::network::{Network, TARGET};
use super::super::path::HopRouter;
use super::*;

/// Makes a path of routers to the server; 0 is a silent hop.
pub(super) fn path(flow: usize, routers: &[usize], end: PathEnd) -> Path {
    let address = |router: &usize| Network::address(*router);
    let server = matches!(end, PathEnd::Reached { .. }).then_some(Some(TARGET));
    let addresses = routers.iter().map(|it| (*it > 0).then_some(it).map(address)).chain(server);
    let hop = |(ttl, address): (u8, Option<IpAddr>)| Hop {
        ttl,
        routers: address.map(HopRouter::new).into_iter().collect(),
        unanswered: 0,
    };
    Path { flow, hops: (1..).zip(addresses).map(hop).collect(), end }
}

pub(super) const REACHED: PathEnd = PathEnd::Reached { greeted: true };

#[test]
fn router_that_only_losing_flows_share_is_named() {
    let paths = [
        path(0, &[1, 2, 4], REACHED),
        path(1, &[1, 3, 4], REACHED),
        path(2, &[1, 2, 4], REACHED),
        path(3, &[1, 3, 4], REACHED),
    ];
    let table = PathTable::new(&paths);
    let suspect =
        |router, ttl, is_certain| Suspect { address: Network::address(router), ttl, is_certain };
    assert_eq!(table.suspects(&[0, 2], &[1, 3]), [suspect(2, 2, true)]);
    assert_eq!(table.suspects(&[0], &[1, 3]), [suspect(2, 2, true)]);
    // Some of its flows lose nothing, all flows lose, none does, or one was not traced.
    for (losing, clean) in [
        (&[0][..], &[1, 2, 3][..]),
        (&[0, 1], &[2, 3]),
        (&[0, 1, 2, 3], &[]),
        (&[], &[0, 1, 2, 3]),
        (&[0, 9], &[1, 3]),
    ] {
        assert_eq!(table.suspects(losing, clean), [], "{losing:?}, {clean:?}");
    }
    // A flow without loss may pass it, if it was not traced.
    assert_eq!(table.suspects(&[0, 2], &[1, 9]), [suspect(2, 2, false)]);
}

#[test]
fn silent_hop_of_a_flow_without_loss_may_hide_the_router() {
    let suspects = |clean: &[usize], end| {
        let paths = [path(0, &[1, 2, 4], REACHED), path(1, clean, end)];
        let suspects = PathTable::new(&paths).suspects(&[0], &[1]);
        Vec::from_iter(suspects.into_iter().map(|it| (it.address, it.is_certain)))
    };
    let two = |is_certain| vec![(Network::address(2), is_certain)];
    assert_eq!(suspects(&[1, 3, 4], REACHED), two(true));
    assert_eq!(suspects(&[1, 0, 4], REACHED), []);
    assert_eq!(suspects(&[1, 3, 0, 4], REACHED), two(false));
    assert_eq!(suspects(&[1, 3, 4], PathEnd::Silent), two(false));
}

#[test]
fn table_has_each_router_once_per_hop_with_its_flows() {
    let mut paths = [
        path(2, &[1, 2, 4], REACHED),
        path(0, &[1, 3, 4], REACHED),
        path(1, &[1, 0, 4], REACHED),
        path(3, &[1], PathEnd::Silent),
    ];
    for (path, millis) in paths.iter_mut().zip([3, 1, 2, 4]) {
        path.hops[0].routers[0].rtts.push(Duration::from_millis(millis));
        path.hops[0].routers[0].mtu = (millis < 3).then_some(1400);
    }
    let table = PathTable::new(&paths);
    let nodes = |row: usize| {
        let node = |node: &PathNode| (node.address, node.flows.clone());
        Vec::from_iter(table.rows()[row].nodes.iter().map(node))
    };
    let router = |router| Some(Network::address(router));
    assert_eq!(nodes(0), [(router(1), vec![0, 1, 2, 3])]);
    assert_eq!(nodes(1), [(router(3), vec![0]), (router(2), vec![2]), (None, vec![1])]);
    assert_eq!(nodes(2), [(router(4), vec![0, 1, 2])]);
    assert_eq!(nodes(3), [(Some(TARGET), vec![0, 1, 2])]);
    assert_eq!(Vec::from_iter(table.rows().iter().map(|row| row.ttl)), [1, 2, 3, 4]);
    let first = &table.rows()[0].nodes[0];
    assert_eq!((first.median_rtt(), first.mtu), (Some(Duration::from_millis(2)), Some(1400)));
}
