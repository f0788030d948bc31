//! The program against [`Guard`] and [`Frame`](hello_proto::Frame), by BPF_PROG_TEST_RUN (bpf(2)).

mod changes;
mod generated;
mod limit;
mod oracle;
mod packet;
mod plain;

use std::env;
use std::fmt::Display;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use hello_proto::Guard;
use ipnet::IpNet;

use self::oracle::{Oracle, Service};
use self::packet::Packet;
use super::counters::{DriverCounters, Passed};
use super::driver::{Attached, DriverLimit, DriverPlan, State, fixed_sources};
use super::interface::{XdpInterface, XdpState};
use crate::sys::network_interface::{HopLimits, InterfaceKind, NetworkInterface};
use crate::sys::xdp_error::XdpError;
use crate::sys::xdp_mode::XdpMode;
use crate::sys::xdp_run::Run;

/// The program, with all that a server tells it of two interfaces.
struct Lab {
    state: State,
    plan: DriverPlan,
    oracle: Oracle,
}

/// What a server is told.
struct Options {
    mode: XdpMode,
    mtu: u32,
    max_name_len: usize,
    limit: Option<DriverLimit>,
}

impl Default for Options {
    fn default() -> Self {
        let max_name_len = Guard::DEFAULT_MAX_NAME_LEN;
        Self { mode: XdpMode::Native, mtu: 1500, max_name_len, limit: None }
    }
}

impl Lab {
    /// Loads the program. Skips the test where the kernel refuses that.
    fn new(options: Options) -> Option<Self> {
        let Options { mode, mtu, max_name_len, limit } = options;
        let bound = ["0.0.0.0:9999", "[::]:9999", "192.0.2.1:9998", "[2001:db8::1]:9998"];
        let bound = bound.map(address).to_vec();
        let plan = DriverPlan { interfaces: Vec::new(), bound, max_name_len, limit };
        let mut state = match State::load(&plan, &fixed_sources(&plan)) {
            Ok(state) => state,
            // Another system, or a build without XDP: nothing is there to be tested.
            Err(XdpError::Unsupported) => return None,
            Err(error) => {
                skip(&error);
                return None;
            }
        };
        let shown = XdpInterface {
            name: "eth0".into(),
            state: XdpState::Attached(mode),
            is_veth: false,
            services: 0,
        };
        state.interfaces.push(Attached { shown, index: 1, link: None });
        let oracle = oracle(mtu, max_name_len, mode == XdpMode::Native);
        let mut lab = Self { state, plan, oracle };
        lab.update(&[ethernet(mtu), vlan()]);
        assert_eq!(lab.state.interfaces[0].shown.services, lab.oracle.services.len());
        Some(lab)
    }

    /// Tells the program what the interfaces are now.
    fn update(&mut self, interfaces: &[NetworkInterface]) {
        let fixed_sources = fixed_sources(&self.plan);
        self.state.update(interfaces, &self.plan.bound, &fixed_sources).expect("updated");
    }

    fn counters(&self) -> DriverCounters {
        DriverCounters::new(self.state.program.counters().read().expect("read"))
    }

    /// Runs the program on a packet, and checks what it does, byte for byte. Returns why the packet was
    /// passed, if it was.
    fn check(&self, packet: &[u8]) -> Option<Passed> {
        let before = self.counters();
        let run = self.state.program.run(packet);
        let after = self.counters();
        let passed = match (self.oracle.judge(packet), run) {
            (Ok(request), Run::Sent(reply)) => {
                request.check(&reply);
                None
            }
            (Err(why), Run::Passed(passed)) => {
                assert_eq!(passed, packet, "unchanged");
                Some(why)
            }
            (Ok(_), run) => panic!("not answered, but {run:02x?}"),
            (Err(why), run) => panic!("not passed because of {why:?}, but {run:02x?}"),
        };
        let families = [DriverCounters::answered_ipv4, DriverCounters::answered_ipv6];
        let answered = families.map(|family| family(&after) - family(&before));
        let expected = match passed {
            Some(_) => [0, 0],
            // Behind the addresses of the link, or behind a tag.
            None if packet[12] == 8 || packet[12] == 0x81 && packet[16] == 8 => [1, 0],
            None => [0, 1],
        };
        assert_eq!(answered, expected);
        for why in Passed::ALL {
            let counted = after.passed(why) - before.passed(why);
            assert_eq!(counted, u64::from(passed == Some(why)), "{why:?}");
        }
        assert_eq!((after.over_limit(), after.over_limit_answered()), (0, 0));
        passed
    }
}

/// Prints that this is not tested, to standard error even if the test runner captures it. Panics if nothing
/// may be skipped (`HELLO_NO_SKIP`, as in `.ci/run`).
fn skip(why: &dyn Display) {
    let test = thread::current();
    let skipped = format!("SKIPPED {}: {why}", test.name().unwrap_or_default());
    assert!(env::var_os("HELLO_NO_SKIP").is_none(), "{skipped}");
    // Not eprintln!, which is captured.
    writeln!(io::stderr(), "\n{skipped}\n").expect("printed");
}

/// The interface that a test run receives by has the index 1.
fn ethernet(mtu: u32) -> NetworkInterface {
    NetworkInterface {
        mtu,
        addresses: ["192.0.2.1", "2001:db8::1", "fe80::1"].map(ip).to_vec(),
        broadcasts: vec![Ipv4Addr::new(192, 0, 2, 255)],
        // Its partial checksums are completed.
        kind: InterfaceKind::Veth,
        ..NetworkInterface::ethernet(1)
    }
}

fn vlan() -> NetworkInterface {
    NetworkInterface {
        index: 7,
        name: "eth0.5".into(),
        mac: [0x02, 0, 0, 0, 0, 0x05],
        mtu: 900,
        vlan: Some((1, 5)),
        hop_limits: HopLimits { ipv4: 62, ipv6: 61 },
        addresses: ["198.51.100.1", "2001:db8:5::1"].map(ip).to_vec(),
        broadcasts: vec![Ipv4Addr::new(198, 51, 100, 255)],
        ..ethernet(0)
    }
}

/// Says the same once more, without the code that is tested.
fn oracle(mtu: u32, max_name_len: usize, completes_checksums: bool) -> Oracle {
    let mtu: usize = mtu.try_into().expect("a few bytes");
    // The socket fragments longer replies.
    let ipv6_mtu = mtu.min(1280);
    let service = |vlan, mac, local, mtu, hop_limit| Service {
        vlan,
        mac: [0x02, 0, 0, 0, 0, mac],
        local: address(local),
        mtu,
        hop_limit,
    };
    Oracle {
        guard: Guard::new().with_max_name_len(max_name_len),
        services: vec![
            service(0, 1, "192.0.2.1:9999", mtu, 64),
            service(0, 1, "192.0.2.1:9998", mtu, 64),
            service(0, 1, "[2001:db8::1]:9999", ipv6_mtu, 63),
            service(0, 1, "[2001:db8::1]:9998", ipv6_mtu, 63),
            service(0, 1, "[fe80::1]:9999", ipv6_mtu, 63),
            service(5, 5, "198.51.100.1:9999", 900, 62),
            service(5, 5, "[2001:db8:5::1]:9999", 900, 61),
        ],
        no_clients: ethernet(0)
            .addresses
            .into_iter()
            .chain(vlan().addresses)
            .chain(["192.0.2.255", "198.51.100.255"].map(ip))
            .collect(),
        completes_checksums,
    }
}

/// A limit of one request an hour, and of bursts, so that time does not matter.
fn limit(burst: u32, exempt: &[&str], dry_run: bool) -> DriverLimit {
    let exempt = exempt.iter().map(|network| network.parse::<IpNet>().expect("a network"));
    DriverLimit {
        emission_interval: HOUR,
        burst_tolerance: burst * HOUR,
        exempt: exempt.collect(),
        dry_run,
    }
}

const HOUR: Duration = Duration::from_secs(3600);

/// A request of each family.
fn requests(name: &[u8]) -> [Packet; 2] {
    [
        Packet::new(address("203.0.113.7:40001"), address("192.0.2.1:9999"), name),
        Packet::new(address("[2001:db8:9::7]:40001"), address("[2001:db8::1]:9999"), name),
    ]
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}
