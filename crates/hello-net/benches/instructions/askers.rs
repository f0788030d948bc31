//! The load generator and the prober: what it takes to ask, and to account for the reply.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use clap::ValueEnum;
use hello_net::{EventFilter, LoadGenerator, Pacing, Prober, Server};

use crate::server::observe;
use crate::{callgrind, each};

/// The one that asks, as a row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Asker {
    /// A closed loop with 64 requests outstanding at one socket.
    Generator,
    /// A closed loop with 4096 requests outstanding, in trains of 64.
    Trains,
    /// A probe every millisecond.
    Prober,
}

impl Asker {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Generator => "generator, 64 outstanding",
            Self::Trains => "generator, trains of 64",
            Self::Prober => "prober, every millisecond",
        }
    }

    /// Returns two numbers of requests; the difference between the two runs is the requests
    /// themselves.
    fn requests(self) -> [usize; 2] {
        match self {
            Self::Generator => [6_400, 19_200],
            Self::Trains => [40_960, 122_880],
            Self::Prober => [200, 1000],
        }
    }

    /// Returns the instructions of one request that is answered, without those of the program's
    /// start.
    pub(crate) fn instructions_each(self) -> Result<u64, Box<dyn Error>> {
        let [fewer, more] = self.requests();
        Ok(each([self.instructions(fewer)?, self.instructions(more)?], more - fewer))
    }

    fn instructions(self, requests: usize) -> Result<u64, Box<dyn Error>> {
        let server = Server::builder().events(EventFilter::Nothing);
        let server = server.bind([(Ipv4Addr::LOCALHOST, 0).into()])?;
        let address = server.local_addrs().next().ok_or("no address")?;
        let asker = self.to_possible_value().ok_or("no name")?;
        let role =
            ["ask".into(), asker.get_name().into(), requests.to_string(), address.to_string()];
        let count = || callgrind::count(callgrind::start(&role)?);
        server.serve_while(observe, count)?
    }

    /// Asks a server, and fails unless it answers everything.
    pub(crate) fn ask(self, requests: u64, server: SocketAddr) -> Result<(), Box<dyn Error>> {
        let answered = match self {
            Self::Prober => {
                let builder = Prober::builder().interval(Duration::from_millis(1)).count(requests);
                builder.connect(server)?.run(|_event| ())?.answered
            }
            Self::Generator | Self::Trains => {
                let (outstanding, train) = if self == Self::Trains { (4096, 64) } else { (64, 1) };
                let outstanding = NonZeroU32::try_from(outstanding)?;
                let builder = LoadGenerator::builder()
                    .pacing(Pacing::Closed { outstanding })
                    .count(requests)
                    .train(NonZeroU16::try_from(train)?)
                    .gro(self == Self::Trains);
                builder.connect(server)?.run(|_events| ())?;
                requests
            }
        };
        if answered == requests { Ok(()) } else { Err(format!("{answered} answered").into()) }
    }
}
