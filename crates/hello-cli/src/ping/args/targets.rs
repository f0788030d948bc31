//! The targets of `hello-ping`: their addresses, and what they share.

use std::collections::HashSet;
use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::time::Duration;

use hello_net::ZonedAddr;

use super::Args;
use crate::args::endpoint::Endpoint;
use crate::args::first_reply::Destination;
use crate::output::format::duration;
use crate::process::exit::error_chain;

/// A target that cannot be probed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreachable {
    /// The name that the user gave, `HOST:PORT`.
    pub target: String,
    /// The cause, with advice.
    pub error: String,
}

impl Args {
    /// Resolves the targets and chooses an address of each. Returns those that it cannot reach, too.
    ///
    /// Duplicate targets are an error, because metrics would have two values of the same name. So
    /// is an interval that is too short for a shared network. Several names of one address are
    /// allowed, and share its rate.
    pub(crate) fn destinations(
        &self,
    ) -> Result<(Vec<Destination>, Vec<Unreachable>), Box<dyn Error>> {
        let (mut hosts, mut unreachable, mut names) = (Vec::new(), Vec::new(), HashSet::new());
        let interface = self.interface.as_ref();
        let zone = interface.filter(|interface| interface.parse::<IpAddr>().is_err());
        for target in &self.targets {
            let target = zone.map_or(target.clone(), |zone| target.clone().or_zone(zone));
            let host = self.hosts.resolve(&target);
            let name = host.as_ref().map_or(self.hosts.name(&target), |host| host.name.clone());
            match host {
                Ok(host) => hosts.push(host),
                Err(error) => {
                    let error = error_chain(&error);
                    unreachable.push(Unreachable { target: name.clone(), error });
                }
            }
            if let Some(duplicate) = names.replace(name) {
                return Err(format!("duplicate target {duplicate}").into());
            }
        }
        for address in hosts.iter().flat_map(|host| &host.addresses) {
            if is_multicast_or_broadcast(address.ip()) {
                let address = ZonedAddr(*address);
                let error =
                    format!("{address} is a multicast or broadcast address; probe one host");
                return Err(error.into());
            }
        }
        // Before anything is sent, and again once each host has its address.
        self.check_rates(&Vec::from_iter(hosts.iter().map(|host| host.addresses[0])))?;
        let (mut chosen, trial) = (Vec::new(), self.builder().name_len(TRIAL_NAME));
        for host in hosts {
            let target = host.name.clone();
            match Destination::choose(host, &trial.clone().flows(NonZeroU16::MIN)) {
                Ok(destination) => chosen.push(destination),
                Err(error) => {
                    let error = error_chain(&*self.explain(error));
                    unreachable.push(Unreachable { target, error });
                }
            }
        }
        self.check_rates(&Vec::from_iter(chosen.iter().map(|chosen| chosen.address.0)))?;
        Ok((chosen, unreachable))
    }

    /// Yields the hints about targets that were perhaps meant otherwise.
    pub fn hints(&self) -> impl Iterator<Item = String> {
        self.targets.iter().filter_map(Endpoint::hint)
    }

    /// Checks that no host receives more than one probe per [`SHORTEST_INTERVAL`] on all its ports
    /// together. The loopback is exempt, and with `--allow-flood` every host.
    fn check_rates(&self, targets: &[SocketAddr]) -> Result<(), String> {
        let interval = self.interval;
        let host = |address: &SocketAddr| address.ip().to_canonical();
        let on = |ip| targets.iter().filter(move |target| host(target) == ip).count();
        let remote = targets.iter().filter(|target| !host(target).is_loopback());
        let busiest = remote.map(|target| (on(host(target)), target));
        // The first of several with the same number of targets.
        let Some((count, target)) = busiest.rev().max_by_key(|(count, _)| *count) else {
            return Ok(());
        };
        let shortest = SHORTEST_INTERVAL.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX));
        match count {
            _ if interval >= shortest || self.allow_flood => Ok(()),
            1 => Err(format!(
                "interval {} is too short for {}: use {} or more, or --allow-flood if its owner agrees",
                duration(interval),
                ZonedAddr(*target),
                duration(shortest),
            )),
            _ => Err(format!(
                "interval {} is too short for {count} targets on {}, which share {} probes per second: \
                 use {} or more, or --allow-flood if its owner agrees",
                duration(interval),
                host(target),
                Duration::from_secs(1).as_millis() / SHORTEST_INTERVAL.as_millis(),
                duration(shortest),
            )),
        }
    }
}

/// The length of the name that chooses an address: every server accepts it.
const TRIAL_NAME: usize = 16;

/// The shortest time between two probes to a host without `--allow-flood`. ping(8) requires
/// privileges for less.
pub(crate) const SHORTEST_INTERVAL: Duration = Duration::from_millis(2);

/// Returns whether several hosts receive a datagram to this address; none of their replies would
/// count.
pub(crate) fn is_multicast_or_broadcast(address: IpAddr) -> bool {
    let address = address.to_canonical();
    address.is_multicast() || matches!(address, IpAddr::V4(address) if address.is_broadcast())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn args<const N: usize>(args: [&str; N]) -> Args {
        args_of(&args)
    }

    fn args_of(args: &[&str]) -> Args {
        Args::parse_from([&["hello-ping"], args].concat())
    }

    #[test]
    fn duplicate_target_is_an_error_in_any_notation() {
        for [one, other] in [
            ["127.0.0.1", "127.0.0.1:9999"],
            ["[::1]:1", "[0:0::1]:1"],
            ["fe80::1", "[fe80::1]:9999"],
        ] {
            let error = args([one, "127.0.0.2", other]).destinations().expect_err("twice");
            assert!(error.to_string().starts_with("duplicate target "), "{error}");
        }
        let (targets, _) = args(["127.0.0.1:1", "127.0.0.1:2"]).destinations().expect("two");
        assert_eq!(targets.len(), 2);
    }

    #[test]
    fn two_names_of_one_address_are_two_targets() {
        let (targets, _) = args(["127.0.0.1", "localhost", "-4"]).destinations().expect("two");
        assert_eq!(targets.len(), 2);
        assert_eq!(targets[0].address, targets[1].address);
    }

    #[test]
    fn zone_of_a_target_without_one_is_the_interface_of_the_option() {
        let (targets, _) = args(["-I", "lo", "fe80::1"]).destinations().expect("one");
        assert_eq!(targets[0].name, "[fe80::1%lo]:9999");
        assert_eq!(args(["-I", "127.0.0.1", "fe80::1"]).destinations().expect("none").1.len(), 1);
    }

    #[test]
    fn targets_on_one_host_share_its_rate_in_any_notation() {
        for (hosts, interval, error) in [
            (&["192.0.2.1:1", "192.0.2.2:1"][..], "2ms", None),
            (&["192.0.2.1:1", "192.0.2.1:2"], "4ms", None),
            (
                &["192.0.2.1:1", "192.0.2.1:2"],
                "3.999ms",
                Some(("3.999ms", "2 targets on 192.0.2.1", "4ms")),
            ),
            (
                &["192.0.2.2:1", "[::ffff:192.0.2.1]:1", "192.0.2.1:2", "192.0.2.1:3"],
                "5ms",
                Some(("5ms", "3 targets on 192.0.2.1", "6ms")),
            ),
            (
                &["[fe80::1%1]:1", "[fe80::1%2]:1"],
                "2ms",
                Some(("2ms", "2 targets on fe80::1", "4ms")),
            ),
            (&["127.0.0.1:1", "127.0.0.1:2", "[::1]:1", "[::1]:2"], "1us", None),
        ] {
            let found = args_of(&[&["-i", interval], hosts].concat()).destinations().map(drop);
            let expected = error.map(|(interval, targets, enough)| {
                format!(
                    "interval {interval} is too short for {targets}, which share 500 probes per \
                     second: use {enough} or more, or --allow-flood if its owner agrees"
                )
            });
            let error = found.err().map(|error| error.to_string());
            assert_eq!(error, expected, "{hosts:?} {interval}");
        }
    }

    #[test]
    fn interval_in_the_error_is_long_enough() {
        let hosts = Vec::from_iter((1..=40).map(|port| format!("192.0.2.1:{port}")));
        let hosts = Vec::from_iter(hosts.iter().map(String::as_str));
        let error =
            args_of(&[&["-i", "2ms"], &hosts[..]].concat()).destinations().expect_err("too short");
        let error = error.to_string();
        let (_, advice) = error.rsplit_once(": use ").expect("advice");
        let (enough, _) = advice.split_once(" or more").expect("advice");
        assert_eq!(enough, "80ms");
        args_of(&[&["-i", enough], &hosts[..]].concat()).destinations().expect("long enough");
    }
}
