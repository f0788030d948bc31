pub(crate) mod separation;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use super::path::{Hop, Path, PathEnd};

/// The paths of several flows, merged: each router once per hop, with the flows through it.
///
/// ```
/// use hello_measure::{Hop, HopRouter, Path, PathEnd, PathTable};
///
/// // Flows 0 and 2 take one path to 10.80.4.2, flow 1 the other.
/// let (target, router) = ([10, 80, 4, 2], |last| [10, 80, 2, last]);
/// let path = |flow, router: [u8; 4]| {
///     let hop = |ttl, address: [u8; 4]| {
///         Hop { ttl, routers: vec![HopRouter::new(address.into())], unanswered: 0 }
///     };
///     let end = PathEnd::Reached { greeted: true };
///     Path { flow, hops: vec![hop(1, router), hop(2, target)], end }
/// };
/// let table = PathTable::new(&[path(0, router(1)), path(1, router(2)), path(2, router(1))]);
///
/// let [first, second] = &table.rows()[0].nodes[..] else { panic!("two routers") };
/// assert_eq!((first.address, &first.flows[..]), (Some(router(1).into()), &[0, 2][..]));
/// assert_eq!((second.address, &second.flows[..]), (Some(router(2).into()), &[1][..]));
///
/// let suspects = table.suspects(&[0, 2], &[1]);
/// assert_eq!(suspects.len(), 1);
/// assert_eq!((suspects[0].address, suspects[0].is_certain), (router(1).into(), true));
/// ```
#[derive(Clone, Debug)]
pub struct PathTable {
    rows: Vec<PathRow>,
    /// Each flow, and whether its path is known up to the server.
    reached: BTreeMap<usize, bool>,
    /// The addresses at which a path ends at the server.
    targets: BTreeSet<IpAddr>,
}

/// The routers at one hop.
///
/// ```
/// use hello_measure::{Hop, Path, PathEnd, PathTable};
///
/// let hops = vec![Hop { ttl: 1, routers: vec![], unanswered: 3 }];
/// let table = PathTable::new(&[Path { flow: 0, hops, end: PathEnd::Silent }]);
/// assert_eq!((table.rows()[0].ttl, table.rows()[0].nodes.len()), (1, 1));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathRow {
    /// The number of the hop, from 1.
    pub ttl: u8,
    /// The routers, in the order of their first flows; last the flows to which nobody answered.
    pub nodes: Vec<PathNode>,
}

/// A router at one hop, or the silence there.
///
/// ```
/// use hello_measure::{Hop, Path, PathEnd, PathTable};
///
/// let hops = vec![Hop { ttl: 1, routers: vec![], unanswered: 3 }];
/// let table = PathTable::new(&[Path { flow: 7, hops, end: PathEnd::Silent }]);
/// let node = &table.rows()[0].nodes[0];
/// assert_eq!((node.address, &node.flows[..], node.median_rtt()), (None, &[7][..], None));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathNode {
    /// The address that it answers from; `None` for flows to which no router answered at this hop.
    pub address: Option<IpAddr>,
    /// The flows through it, in ascending order.
    pub flows: Vec<usize>,
    /// The round-trip times, in ascending order.
    pub rtts: Vec<Duration>,
    /// The maximum transmission unit that it reported, in bytes of whole packets.
    pub mtu: Option<u32>,
}

impl PathNode {
    /// Returns the median of the round-trip times: the lower one of two.
    pub fn median_rtt(&self) -> Option<Duration> {
        self.rtts.get(self.rtts.len().saturating_sub(1) / 2).copied()
    }
}

/// A router that all losing flows pass, and no flow without the fault is known to pass.
///
/// ```
/// use hello_measure::{PathTable, Suspect};
///
/// fn names(table: &PathTable, losing: &[usize], clean: &[usize]) -> Vec<String> {
///     let name = |suspect: Suspect| format!("{} at hop {}", suspect.address, suspect.ttl);
///     table.suspects(losing, clean).into_iter().map(name).collect()
/// }
/// assert!(names(&PathTable::new(&[]), &[0], &[1]).is_empty());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suspect {
    /// The address that it answers from.
    pub address: IpAddr,
    /// The nearest hop at which it is on the path of a losing flow.
    pub ttl: u8,
    /// Whether all hops of the flows without the fault are known, so that surely none passes it.
    pub is_certain: bool,
}

impl PathTable {
    /// Merges paths. Of several paths of one flow, each counts.
    pub fn new<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Self {
        let mut table =
            Self { rows: Vec::new(), reached: BTreeMap::new(), targets: BTreeSet::new() };
        for path in paths {
            table.add(path);
        }
        for node in table.rows.iter_mut().flat_map(|row| &mut row.nodes) {
            node.rtts.sort_unstable();
        }
        for row in &mut table.rows {
            row.nodes.sort_by_key(|node| (node.address.is_none(), node.flows.first().copied()));
        }
        table
    }

    /// Returns the hops, from the nearest.
    pub fn rows(&self) -> &[PathRow] {
        &self.rows
    }

    /// Returns the routers that all `losing` flows pass and none of the `clean` flows, which do
    /// not have the fault: nearest first.
    ///
    /// The result is empty if there is no flow to compare with, if a losing flow was not traced, or
    /// if such a router may be hidden: where a clean flow has a silent hop with the number of the
    /// router's, the router may be there. The server is never a suspect. An address is that of an
    /// interface, so a suspect may also stand for the link in front of it.
    pub fn suspects(&self, losing: &[usize], clean: &[usize]) -> Vec<Suspect> {
        if losing.is_empty() || clean.is_empty() {
            return Vec::new();
        }
        // Where each router is.
        let mut routers = BTreeMap::<IpAddr, (BTreeSet<usize>, BTreeSet<u8>)>::new();
        let mut silent = BTreeSet::<(usize, u8)>::new();
        for PathRow { ttl, nodes } in &self.rows {
            for PathNode { address, flows, .. } in nodes {
                match address {
                    Some(address) => {
                        let (through, hops) = routers.entry(*address).or_default();
                        through.extend(flows);
                        hops.insert(*ttl);
                    }
                    None => silent.extend(flows.iter().map(|flow| (*flow, *ttl))),
                }
            }
        }
        let is_known = |flow: &usize| {
            self.reached.get(flow) == Some(&true)
                && silent.range((*flow, 0)..=(*flow, u8::MAX)).next().is_none()
        };
        let is_certain = clean.iter().all(is_known);
        let suspect = |(address, (through, hops)): (IpAddr, (BTreeSet<usize>, BTreeSet<u8>))| {
            let may_hide =
                || clean.iter().any(|flow| hops.iter().any(|ttl| silent.contains(&(*flow, *ttl))));
            let is_suspect = !self.targets.contains(&address)
                && losing.iter().all(|flow| through.contains(flow))
                && !clean.iter().any(|flow| through.contains(flow))
                && !may_hide();
            let ttl = *hops.first()?;
            is_suspect.then_some(Suspect { address, ttl, is_certain })
        };
        let mut suspects = Vec::from_iter(routers.into_iter().filter_map(suspect));
        suspects.sort_by_key(|suspect| (suspect.ttl, suspect.address));
        suspects
    }

    fn add(&mut self, path: &Path) {
        let reached = matches!(path.end, PathEnd::Reached { .. });
        *self.reached.entry(path.flow).or_insert(true) &= reached;
        let server = path.hops.last().filter(|_| reached);
        self.targets.extend(server.into_iter().flat_map(|hop| &hop.routers).map(|it| it.address));
        for hop in &path.hops {
            self.add_hop(path.flow, hop);
        }
    }

    fn add_hop(&mut self, flow: usize, hop: &Hop) {
        let index = match self.rows.binary_search_by_key(&hop.ttl, |row| row.ttl) {
            Ok(index) => index,
            Err(index) => {
                self.rows.insert(index, PathRow { ttl: hop.ttl, nodes: Vec::new() });
                index
            }
        };
        let nodes = &mut self.rows[index].nodes;
        if hop.is_silent() {
            node(nodes, None).pass(flow);
        }
        for router in &hop.routers {
            let node = node(nodes, Some(router.address));
            node.pass(flow);
            node.rtts.extend(&router.rtts);
            node.mtu = node.mtu.into_iter().chain(router.mtu).min();
        }
    }
}

impl PathNode {
    fn pass(&mut self, flow: usize) {
        if let Err(index) = self.flows.binary_search(&flow) {
            self.flows.insert(index, flow);
        }
    }
}

/// Returns the node with an address, which is added if it is new.
fn node(nodes: &mut Vec<PathNode>, address: Option<IpAddr>) -> &mut PathNode {
    let known = nodes.iter().position(|node| node.address == address);
    let index = known.unwrap_or_else(|| {
        nodes.push(PathNode { address, flows: Vec::new(), rtts: Vec::new(), mtu: None });
        nodes.len() - 1
    });
    &mut nodes[index]
}

#[cfg(test)]
mod tests;
