use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hello_proto::Limiter;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::counters::DriverCounters;
use super::interface::{XdpInterface, XdpState};
use super::services::{Endpoint, Services, services, vacant};
use super::slots;
use super::sources::{FixedSources, Sources, blocks, sources};
use crate::sys::latch::Latch;
use crate::sys::network_interface::{InterfaceKind, NetworkInterface};
use crate::sys::xdp::capabilities;
use crate::sys::xdp::interfaces::Interfaces;
use crate::sys::xdp::program::{Counters, Program, XdpLink};
use crate::sys::xdp_error::XdpError;

/// What a server answers in drivers.
#[derive(Clone, Debug)]
pub(crate) struct DriverPlan {
    /// The names of the interfaces.
    pub(crate) interfaces: Vec<String>,
    /// The addresses that sockets are bound to.
    pub(crate) bound: Vec<SocketAddr>,
    /// The longest name answered, in bytes.
    pub(crate) max_name_len: usize,
    /// The limit of each source network.
    pub(crate) limit: Option<DriverLimit>,
}

/// The rate limit in drivers.
#[derive(Clone, Debug)]
pub(crate) struct DriverLimit {
    /// The two times of a [`Rate`](hello_proto::Rate).
    pub(crate) emission_interval: Duration,
    pub(crate) burst_tolerance: Duration,
    pub(crate) exempt: Vec<IpNet>,
    pub(crate) dry_run: bool,
}

/// Answers in the drivers of network interfaces, and follows the changes of these.
#[derive(Debug)]
pub(crate) struct Driver {
    bound: Vec<SocketAddr>,
    fixed_sources: FixedSources,
    watcher: Interfaces,
    /// Locked while the program is attached, which may take a driver seconds. Readers wait for neither.
    state: Mutex<State>,
    counters: Counters,
    /// Those read last.
    last: Mutex<DriverCounters>,
    /// The interfaces at the last change.
    shown: Mutex<Vec<XdpInterface>>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) program: Program,
    /// Those that have a slot, by this seed.
    services: Services,
    pub(super) seed: u64,
    sources: Sources,
    pub(super) interfaces: Vec<Attached>,
}

/// An interface that the server was told to answer in.
#[derive(Debug)]
pub(super) struct Attached {
    pub(super) shown: XdpInterface,
    /// 0 if it is gone.
    pub(super) index: u32,
    pub(super) link: Option<XdpLink>,
}

impl Driver {
    /// Loads the program and attaches it to each interface.
    pub(crate) fn open(plan: DriverPlan) -> Result<Self, XdpError> {
        capabilities::check()?;
        let watcher = Interfaces::watch().map_err(XdpError::Interfaces)?;
        let present = watcher.list().map_err(XdpError::Interfaces)?;
        let mut found: Vec<&NetworkInterface> = Vec::new();
        for name in &plan.interfaces {
            let interface = find(&present, name)?;
            if found.iter().all(|other| other.index != interface.index) {
                found.push(interface);
            }
        }
        let fixed_sources = fixed_sources(&plan);
        let mut state = State::load(&plan, &fixed_sources)?;
        for interface in found {
            state.interfaces.push(Attached {
                shown: XdpInterface {
                    name: interface.name.clone(),
                    state: XdpState::Gone,
                    is_veth: interface.kind == InterfaceKind::Veth,
                    services: 0,
                },
                index: interface.index,
                link: None,
            });
        }
        let counters = state.program.counters();
        let driver = Self {
            bound: plan.bound,
            fixed_sources,
            watcher,
            state: Mutex::new(state),
            counters,
            last: Mutex::default(),
            shown: Mutex::default(),
        };
        driver.open_interfaces(&present)?;
        Ok(driver)
    }

    fn open_interfaces(&self, present: &[NetworkInterface]) -> Result<(), XdpError> {
        let state = &mut *self.lock();
        for attached in &mut state.interfaces {
            let attach = state.program.attach(attached.index);
            let (link, mode) = attach.map_err(|source| {
                let interface = attached.shown.name.clone();
                match source.kind() {
                    // One in the same mode, or in the other.
                    ErrorKind::ResourceBusy | ErrorKind::AlreadyExists => XdpError::Busy(interface),
                    _ => XdpError::Attach { interface, source },
                }
            })?;
            attached.link = Some(link);
            attached.shown.state = XdpState::Attached(mode);
        }
        state.update(present, &self.bound, &self.fixed_sources)?;
        *lock(&self.shown) = state.shown();
        Ok(())
    }

    /// Follows the changes of the interfaces until the latch is raised, and then detaches the program,
    /// so that its counters change no more.
    pub(crate) fn watch(&self, stop: &Latch) {
        let mut is_current = true;
        while !stop.is_raised() {
            // What failed may succeed later without a change: a machine that had no memory, or an
            // interface that another program had.
            let has_waited = if is_current {
                self.watcher.wait(stop).is_ok()
            } else {
                stop.sleep(RETRY);
                true
            };
            let refreshed = self.refresh().unwrap_or_else(|error| {
                set_failed(&mut lock(&self.shown), &error);
                false
            });
            is_current = has_waited && refreshed;
        }
        self.lock().interfaces.iter_mut().for_each(|interface| interface.link = None);
    }

    /// Attaches the program to interfaces that are back, and brings the maps up to date. Returns whether
    /// all that succeeded.
    fn refresh(&self) -> Result<bool, XdpError> {
        let present = self.watcher.list().map_err(XdpError::Interfaces)?;
        let state = &mut *self.lock();
        for attached in &mut state.interfaces {
            let named = find(&present, &attached.shown.name);
            let Ok(interface) = named else {
                (attached.index, attached.link) = (0, None);
                attached.shown.state = XdpState::Gone;
                continue;
            };
            // Another interface may have the number of one that is gone, and another program.
            let is_attached = interface.program == Some(state.program.id());
            if interface.index != attached.index || !is_attached {
                attached.index = interface.index;
                attached.link = None;
                attached.shown.state = match state.program.attach(interface.index) {
                    Ok((link, mode)) => {
                        attached.link = Some(link);
                        XdpState::Attached(mode)
                    }
                    Err(error) => XdpState::Failed(error.to_string()),
                };
            }
        }
        let updated = state.update(&present, &self.bound, &self.fixed_sources);
        let mut shown = state.shown();
        if let Err(error) = updated {
            set_failed(&mut shown, &error);
        }
        let has_failed = |shown: &XdpInterface| matches!(shown.state, XdpState::Failed(_));
        let is_current = !shown.iter().any(has_failed);
        *lock(&self.shown) = shown;
        Ok(is_current)
    }

    /// Returns the interfaces in the order given.
    pub(crate) fn interfaces(&self) -> Vec<XdpInterface> {
        lock(&self.shown).clone()
    }

    /// Returns the counters, or those read last if the kernel does not let them be read.
    pub(crate) fn counters(&self) -> DriverCounters {
        let mut last = lock(&self.last);
        if let Ok(counters) = self.counters.read() {
            *last = DriverCounters::new(counters);
        }
        *last
    }

    /// Gives up the capabilities that were needed to load and attach the program, for this thread and
    /// those that it starts later.
    pub(crate) fn give_up_capabilities(&self) -> Result<(), XdpError> {
        capabilities::give_up().map_err(XdpError::GiveUp)?;
        // Old kernels let only CAP_BPF do this.
        self.counters.read().map(drop)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    /// Loads the program, for interfaces that it will be attached to.
    pub(super) fn load(plan: &DriverPlan, fixed_sources: &FixedSources) -> Result<Self, XdpError> {
        let room = u32::try_from(2 * fixed_sources.len()).unwrap_or(u32::MAX);
        // As many as the server's own limit knows at a time.
        let buckets = if plan.limit.is_some() { Limiter::<()>::BUCKETS } else { 1 };
        let buckets = u32::try_from(buckets).unwrap_or(u32::MAX);
        let program = Program::load(&limits(plan), buckets, room.saturating_add(SOURCES))?;
        Ok(Self {
            program,
            services: Services::new(),
            seed: 0,
            sources: Sources::new(),
            interfaces: Vec::new(),
        })
    }

    /// Returns the interfaces as they are shown.
    fn shown(&self) -> Vec<XdpInterface> {
        self.interfaces.iter().map(|attached| attached.shown.clone()).collect()
    }

    /// Makes the maps what the interfaces are now.
    pub(super) fn update(
        &mut self,
        present: &[NetworkInterface],
        bound: &[SocketAddr],
        fixed_sources: &FixedSources,
    ) -> Result<(), XdpError> {
        let mut wanted = Services::new();
        for attached in &self.interfaces {
            let interface = present.iter().find(|interface| interface.index == attached.index);
            if let (Some(interface), XdpState::Attached(mode)) = (interface, &attached.shown.state)
            {
                wanted.extend(services(interface, *mode, present, bound));
            }
        }
        let updated = self.update_maps(wanted, &sources(fixed_sources, present));
        for attached in &mut self.interfaces {
            let index = attached.index.to_ne_bytes();
            attached.shown.services = self.services.keys().filter(|key| key[..4] == index).count();
        }
        updated
    }

    /// Makes the maps what they should be. What must not be answered any more comes first.
    fn update_maps(&mut self, wanted: Services, wanted_sources: &Sources) -> Result<(), XdpError> {
        self.remove_services(&wanted)?;
        for (prefix, properties) in wanted_sources {
            if self.sources.get(prefix) != Some(properties) {
                self.program.set_source(*prefix, *properties)?;
                self.sources.insert(*prefix, *properties);
            }
        }
        let outdated = self.sources.keys().filter(|prefix| !wanted_sources.contains_key(*prefix));
        for prefix in Vec::from_iter(outdated.copied()) {
            self.program.remove_source(prefix)?;
            self.sources.remove(&prefix);
        }
        self.program.set_blocks(&blocks(wanted_sources))?;
        self.add_services(wanted)
    }

    /// Removes the services that are not wanted, and if others cannot keep their slots, all.
    fn remove_services(&mut self, wanted: &Services) -> Result<(), XdpError> {
        let seed = slots::seed(&Vec::from_iter(wanted.keys().copied()), self.seed);
        let outdated = |at: &&Endpoint| seed != self.seed || !wanted.contains_key(*at);
        for at in Vec::from_iter(self.services.keys().filter(outdated).copied()) {
            self.program.set_service(slots::slot(self.seed, &at), &vacant(self.services[&at]))?;
            self.services.remove(&at);
        }
        if seed != self.seed {
            self.program.set_slot_seed(seed)?;
            self.seed = seed;
        }
        Ok(())
    }

    /// Adds the services that are missing, and replaces those that differ. One without a slot costs no
    /// other its own, and is left to the sockets.
    fn add_services(&mut self, wanted: Services) -> Result<(), XdpError> {
        let slot_of = |at: &Endpoint| (slots::slot(self.seed, at), *at);
        let mut taken = HashMap::<_, _>::from_iter(self.services.keys().map(slot_of));
        let mut without_slot = 0_u32;
        for (at, service) in wanted {
            let slot = slots::slot(self.seed, &at);
            if *taken.entry(slot).or_insert(at) != at {
                without_slot += 1;
            } else if self.services.get(&at) != Some(&service) {
                self.program.set_service(slot, &service)?;
                self.services.insert(at, service);
            }
        }
        if without_slot > 0 { Err(XdpError::NoSlot(without_slot)) } else { Ok(()) }
    }
}

/// Shows that what is answered now may not be what should be.
fn set_failed(shown: &mut [XdpInterface], error: &XdpError) {
    for interface in shown {
        interface.state = XdpState::Failed(error.to_string());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Finds an interface that the program can be attached to.
fn find<'a>(present: &'a [NetworkInterface], name: &str) -> Result<&'a NetworkInterface, XdpError> {
    let found = present.iter().find(|interface| interface.name == name);
    let interface = found.ok_or_else(|| XdpError::NoInterface(name.into()))?;
    match interface.kind {
        InterfaceKind::Ethernet | InterfaceKind::Veth => Ok(interface),
        InterfaceKind::Loopback => Err(XdpError::Loopback(name.into())),
        InterfaceKind::Other => Err(XdpError::NotEthernet(name.into())),
    }
}

/// Returns the sources that do not depend on the interfaces.
pub(super) fn fixed_sources(plan: &DriverPlan) -> FixedSources {
    match &plan.limit {
        Some(limit) => FixedSources::new(&shared_prefixes(), &limit.exempt),
        None => FixedSources::new(&[], &EVERYTHING),
    }
}

/// Returns the program's `limits`.
fn limits(plan: &DriverPlan) -> Vec<u8> {
    let nanos = |time: fn(&DriverLimit) -> Duration| {
        let time = plan.limit.as_ref().map(time).unwrap_or_default();
        u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).to_ne_bytes()
    };
    let max_name_len = u16::try_from(plan.max_name_len).unwrap_or(u16::MAX).min(MAX_NAME_LEN);
    let dry_run = plan.limit.as_ref().is_some_and(|limit| limit.dry_run);
    let leak_one_in = u32::try_from(Limiter::<()>::LEAK_ONE_IN).unwrap_or(u32::MAX);
    [
        &nanos(|limit| limit.emission_interval)[..],
        &nanos(|limit| limit.burst_tolerance),
        &leak_one_in.to_ne_bytes(),
        &max_name_len.to_ne_bytes(),
        &u16::from(dry_run).to_ne_bytes(),
    ]
    .concat()
}

fn shared_prefixes() -> Vec<Ipv6Net> {
    Limiter::<()>::SHARED_PREFIXES
        .iter()
        .map(|(address, len)| Ipv6Net::new_assert(*address, *len))
        .collect()
}

/// All networks, for a server without a limit.
const EVERYTHING: [IpNet; 2] = [
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0)),
];

/// Room for the addresses of interfaces, beside what does not change.
const SOURCES: u32 = 65_536;

/// The longest name that the program can answer, in bytes: in an Ethernet frame that is no jumbo.
const MAX_NAME_LEN: u16 = 1472;

/// The pause after an error.
const RETRY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
