//! The targets of a fleet: what the file and the lookups make of it.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hello_net::{Fleet, FleetError, FleetHandle, TargetId, ZonedAddr};

use super::file::{Addresses, Entry};
use super::lookup::Answer;
use crate::args::endpoint::Endpoint;
use crate::output::format::duration;
use crate::ping::args::SHORTEST_INTERVAL;

/// Keeps the targets of a fleet in step with the file and the lookups.
#[derive(Debug)]
pub struct Roster {
    handle: FleetHandle,
    rules: Rules,
    entries: Vec<Entry>,
    names: BTreeMap<String, Name>,
    members: BTreeMap<Key, Member>,
}

/// What is left out or refused.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// The addresses that are not probed, such as this machine's own.
    pub exclude: Vec<IpAddr>,
    /// The time between two probes of a target.
    pub interval: Duration,
    /// Whether a host may get more probes than usual.
    pub allow_flood: bool,
}

/// The name and the labels of a target. Clones share them.
#[derive(Clone, Debug)]
pub struct Member {
    /// `HOST:PORT`.
    pub target: Arc<str>,
    /// The name of which it is one of the addresses (`dns+`).
    pub name: Option<Arc<str>>,
    /// The labels of the file.
    pub labels: Arc<[(String, String)]>,
    /// The current address.
    pub address: Option<SocketAddr>,
    /// Its identity in the fleet.
    pub id: TargetId,
    /// When it was added.
    pub added: Instant,
}

/// What identifies a target in every output.
type Key = (String, Option<String>);

/// What is known of a name.
#[derive(Clone, Debug, Default)]
struct Name {
    addresses: Vec<SocketAddr>,
    failures: u64,
    is_failing: bool,
}

/// A name that is looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookedUp {
    /// `HOST:PORT`.
    pub name: String,
    /// The labels of its first entry in the file.
    pub labels: Arc<[(String, String)]>,
    /// Whether it has an address.
    pub is_resolved: bool,
    /// The failed lookups.
    pub failures: u64,
}

/// A target as it should be.
#[derive(Debug)]
struct Wanted<'a> {
    address: Option<SocketAddr>,
    labels: &'a Arc<[(String, String)]>,
}

/// How a change affected the targets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The targets added.
    pub added: usize,
    /// The targets removed.
    pub removed: usize,
}

impl Roster {
    /// Creates an empty roster.
    pub fn new(handle: FleetHandle, rules: Rules) -> Self {
        let (entries, names, members) = Default::default();
        Self { handle, rules, entries, names, members }
    }

    /// Replaces the entries of the file. Targets that stay are not disturbed.
    ///
    /// # Errors
    ///
    /// If a host would get too many probes, or if there are too many targets. Nothing changes then.
    pub fn set_entries(&mut self, entries: Vec<Entry>) -> Result<Change, String> {
        let before = std::mem::replace(&mut self.entries, entries);
        let kept = self.names.clone();
        let named = self.lookups();
        self.names.retain(|name, _| named.contains_key(name));
        for name in named.into_keys() {
            self.names.entry(name).or_default();
        }
        let members = self.members.keys().cloned().collect();
        self.apply(None, &members).inspect_err(|_| {
            self.entries = before;
            self.names = kept;
        })
    }

    /// Returns the names to look up.
    pub fn lookups(&self) -> BTreeMap<String, Endpoint> {
        let of = |entry: &Entry| match &entry.addresses {
            Addresses::Given(_) => None,
            Addresses::One(host) | Addresses::All(host) => Some((entry.name.clone(), host.clone())),
        };
        self.entries.iter().filter_map(of).collect()
    }

    /// Takes over the result of a lookup. After a failure, the addresses stay as they are.
    ///
    /// # Errors
    ///
    /// Why a name has no usable address, if its lookup before succeeded.
    pub fn handle_answer(&mut self, answer: Answer) -> Result<Change, String> {
        let Answer { name, addresses } = answer;
        if !self.names.contains_key(&name) {
            return Ok(Change::default());
        }
        let result = addresses.and_then(|addresses| self.set_addresses(&name, addresses));
        let Some(known) = self.names.get_mut(&name) else { return result };
        known.failures += u64::from(result.is_err());
        let was_failing = std::mem::replace(&mut known.is_failing, result.is_err());
        if was_failing { Ok(result.unwrap_or_default()) } else { result }
    }

    /// Changes the addresses of a name, unless its host would get too many probes. Only the targets of
    /// this name are compared, because thousands of names are looked up one by one.
    fn set_addresses(&mut self, name: &str, addresses: Vec<SocketAddr>) -> Result<Change, String> {
        let known = self.names.get(name).map_or(&[][..], |known| &known.addresses);
        // Resolvers change the order.
        if BTreeSet::from_iter(known) == BTreeSet::from_iter(&addresses) {
            return Ok(Change::default());
        }
        let members = self.wanted(Some(name)).into_keys().collect();
        let set = |roster: &mut Self, addresses| {
            let known = roster.names.get_mut(name)?;
            Some(std::mem::replace(&mut known.addresses, addresses))
        };
        let before = set(self, addresses).unwrap_or_default();
        self.apply(Some(name), &members).inspect_err(|_| drop(set(self, before)))
    }

    /// Yields the targets, in the order of their names.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// Returns the target with this id; `None` if it was removed.
    pub fn member(&self, id: TargetId) -> Option<&Member> {
        self.members().find(|member| member.id == id)
    }

    /// Yields each name that is looked up.
    pub fn names(&self) -> impl Iterator<Item = LookedUp> {
        let mut labels = HashMap::new();
        for entry in &self.entries {
            labels.entry(&*entry.name).or_insert(&entry.labels);
        }
        self.names.iter().map(move |(text, name)| LookedUp {
            name: text.clone(),
            labels: labels.get(&**text).map_or_else(Arc::default, |labels| Arc::clone(labels)),
            is_resolved: !name.addresses.is_empty(),
            failures: name.failures,
        })
    }

    /// Adds, removes and changes targets of the fleet until they are those that are wanted, all of them or
    /// those of a name. `before` are the targets that may be removed.
    fn apply(&mut self, name: Option<&str>, before: &BTreeSet<Key>) -> Result<Change, String> {
        let wanted = self.wanted(name);
        let others = || self.members.iter().filter(|(key, _)| !before.contains(key));
        let addresses = wanted.values().filter_map(|wanted| wanted.address);
        self.rules.check(addresses, others().filter_map(|(_, member)| member.address))?;
        if wanted.len() + others().count() > Fleet::MAX_TARGETS {
            let max = Fleet::MAX_TARGETS;
            return Err(FleetError::TooManyTargets { max }.to_string());
        }
        let (mut change, mut changed) = (Change::default(), Vec::with_capacity(wanted.len()));
        let removed = Vec::from_iter(before.iter().filter(|key| !wanted.contains_key(key)));
        for member in removed.iter().filter_map(|key| self.members.get(*key)) {
            change.removed += 1;
            self.handle.remove(member.id);
        }
        for (key, Wanted { address, labels }) in wanted {
            let member = match self.members.get(&key) {
                Some(member) => {
                    if member.address != address {
                        self.handle.set_address(member.id, address);
                    }
                    Member { address, labels: Arc::clone(labels), ..member.clone() }
                }
                None => {
                    change.added += 1;
                    let id = self.handle.add(address).map_err(|error| error.to_string())?;
                    let (target, name) = (key.0.as_str().into(), key.1.as_deref().map(Arc::from));
                    let (labels, added) = (Arc::clone(labels), Instant::now());
                    Member { target, name, labels, address, id, added }
                }
            };
            changed.push((key, member));
        }
        for key in removed {
            self.members.remove(key);
        }
        self.members.extend(changed);
        Ok(change)
    }

    /// Returns the targets that the file and the lookups make, all of them or those of a name.
    fn wanted(&self, of: Option<&str>) -> BTreeMap<Key, Wanted<'_>> {
        let mut wanted = BTreeMap::new();
        let entries = self.entries.iter().filter(|entry| of.is_none_or(|of| entry.name == of));
        for Entry { name, addresses, labels, .. } in entries {
            let found = || self.names.get(name).map_or(&[][..], |name| &name.addresses);
            let usable = |address: &&SocketAddr| !self.rules.excludes(address.ip());
            match addresses {
                Addresses::Given(address) if self.rules.excludes(address.ip()) => {}
                Addresses::Given(address) => {
                    let key = (name.clone(), None);
                    wanted.insert(key, Wanted { address: Some(*address), labels });
                }
                Addresses::One(_) => {
                    let key = (name.clone(), None);
                    // One that is in use stays in use: resolvers change the order.
                    let before = self.members.get(&key).and_then(|member| member.address);
                    let kept = before.filter(|before| found().contains(before));
                    let address = kept.or_else(|| found().iter().find(usable).copied());
                    // This machine's own name is left out like its address.
                    if address.is_some() || found().is_empty() {
                        wanted.insert(key, Wanted { address, labels });
                    }
                }
                Addresses::All(host) => {
                    for address in found().iter().filter(usable) {
                        let target = ZonedAddr(*address).to_string();
                        let key = (target, Some(host.host().to_owned()));
                        wanted.insert(key, Wanted { address: Some(*address), labels });
                    }
                }
            }
        }
        wanted
    }
}

impl Rules {
    fn excludes(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.exclude.iter().any(|excluded| excluded.to_canonical() == address)
    }

    /// Checks that no host of `addresses` receives more than one probe per [`SHORTEST_INTERVAL`] on all
    /// its ports together, with those at the addresses of `others`. The loopback is exempt.
    fn check(
        &self,
        addresses: impl Iterator<Item = SocketAddr>,
        others: impl Iterator<Item = SocketAddr>,
    ) -> Result<(), String> {
        if self.allow_flood {
            return Ok(());
        }
        let host_of = |address: SocketAddr| address.ip().to_canonical();
        let mut hosts = BTreeMap::<IpAddr, u32>::new();
        for host in addresses.map(host_of).filter(|host| !host.is_loopback()) {
            *hosts.entry(host).or_default() += 1;
        }
        for host in others.map(host_of) {
            hosts.entry(host).and_modify(|count| *count += 1);
        }
        let busiest =
            hosts.into_iter().max_by_key(|(host, count)| (*count, std::cmp::Reverse(*host)));
        match busiest {
            Some((host, count)) if self.interval < SHORTEST_INTERVAL.saturating_mul(count) => {
                Err(format!(
                    "interval {} is too short for {count} targets on {host}, which share {} probes per \
                     second: use {} or more, or --allow-flood if its owner agrees",
                    duration(self.interval),
                    Duration::from_secs(1).as_millis() / SHORTEST_INTERVAL.as_millis(),
                    duration(SHORTEST_INTERVAL.saturating_mul(count)),
                ))
            }
            _ => Ok(()),
        }
    }
}
