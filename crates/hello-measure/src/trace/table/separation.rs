use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::PathTable;

/// A router that all losing flows pass, and few others.
///
/// ```
/// use hello_measure::{PathTable, Separation};
///
/// let none: Option<Separation> = PathTable::new(&[]).separation(&[0], &[1]);
/// assert_eq!(none, None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Separation {
    /// The address that it answers from.
    pub address: IpAddr,
    /// The nearest hop at which it is.
    pub ttl: u8,
    /// The number of losing flows, which all pass it.
    pub losing: usize,
    /// The number of flows that pass it.
    pub through: usize,
    /// The number of flows that do not.
    pub others: usize,
}

impl PathTable {
    /// Returns the router that best separates the `losing` flows from the `clean` ones, if none does so
    /// completely: all losing flows pass it, and at least nine in ten of the flows through it lose.
    ///
    /// A flow through a router may lose nothing by chance. The nearest router is returned if several
    /// separate the flows equally well; there is none if each flow passes it, if a flow was not traced,
    /// or if a clean flow has a silent hop at which it may be.
    pub fn separation(&self, losing: &[usize], clean: &[usize]) -> Option<Separation> {
        let all = || losing.iter().chain(clean);
        if losing.is_empty() || !all().all(|flow| self.reached.contains_key(flow)) {
            return None;
        }
        let mut routers = BTreeMap::<IpAddr, (BTreeSet<usize>, BTreeSet<u8>)>::new();
        for row in &self.rows {
            for node in &row.nodes {
                let Some(address) = node.address else { continue };
                let (through, hops) = routers.entry(address).or_default();
                through.extend(&node.flows);
                hops.insert(row.ttl);
            }
        }
        let is_silent = |flow: &usize, ttl: &u8| {
            let row = self.rows.iter().find(|row| row.ttl == *ttl);
            let silent = row.and_then(|row| row.nodes.iter().find(|node| node.address.is_none()));
            silent.is_some_and(|node| node.flows.binary_search(flow).is_ok())
        };
        let separation = |(address, (flows, hops)): (IpAddr, (BTreeSet<usize>, BTreeSet<u8>))| {
            let may_hide = |flow: &&usize| {
                !flows.contains(flow) && hops.iter().any(|ttl| is_silent(flow, ttl))
            };
            let through = all().filter(|flow| flows.contains(flow)).count();
            let others = losing.len() + clean.len() - through;
            let is_clear = !self.targets.contains(&address)
                && losing.iter().all(|flow| flows.contains(flow))
                && through * 9 <= losing.len() * 10
                && others > 0
                && !clean.iter().any(|flow| may_hide(&flow));
            let ttl = *hops.first()?;
            let losing = losing.len();
            is_clear.then_some(Separation { address, ttl, losing, through, others })
        };
        let separations = routers.into_iter().filter_map(separation);
        separations.min_by_key(|one| (one.through, one.ttl, one.address))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::network::Network;
    use super::super::tests::{REACHED, path};
    use super::*;

    #[test]
    fn router_with_nine_losing_flows_in_ten_separates_them_if_none_loses_elsewhere() {
        // Flows 0 to 9 pass router 2, the others router 3.
        let mut paths = Vec::from_iter((0..20).map(|flow| {
            let router = if flow < 10 { 2 } else { 3 };
            path(flow, &[1, router, 4], REACHED)
        }));
        let separation = |paths: &[_], losing: &[usize]| {
            let clean = Vec::from_iter((0..20).filter(|flow| !losing.contains(flow)));
            PathTable::new(paths).separation(losing, &clean)
        };
        let nine = Vec::from_iter(0..9);
        let (address, ttl) = (Network::address(2), 2);
        let expected = Separation { address, ttl, losing: 9, through: 10, others: 10 };
        assert_eq!(separation(&paths, &nine), Some(expected));
        assert_eq!(separation(&paths, &nine[1..]), None, "8 of 10");
        assert_eq!(separation(&paths, &Vec::from_iter((0..9).chain([15]))), None, "elsewhere");
        assert_eq!(separation(&paths, &[]), None);
        assert_eq!(separation(&paths[..19], &nine), None, "not traced");
        paths[19] = path(19, &[1, 0, 4], REACHED);
        assert_eq!(separation(&paths, &nine), None, "silent");
    }
}
