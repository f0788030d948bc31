//! The servers that are compared, each in a process of its own.

use std::error::Error;
use std::io::{self, ErrorKind, IoSliceMut, Write};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::ValueEnum;
use hello_net::{Backend, EventFilter, RateLimit, Server};
use hello_proto::{Frame, Guard, OVERHEAD, Rate, Refusal, Request};
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use rustix::event::{PollFd, PollFlags, poll};
use serde::Serialize;

use crate::buffers;

/// A server to compare.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Peer {
    /// Ours.
    Hello,
    /// The same in another process: what differs between the two is noise.
    HelloAgain,
    /// Ours on the portable back end.
    HelloPortable,
    /// Ours, asking for 50 microseconds before it waits.
    HelloSpinning,
    /// Ours, refusing nothing.
    HelloUnguarded,
    /// Ours with a limit that its sources do not reach; the others have none.
    HelloLimited,
    /// Ours with two threads on one socket.
    HelloTwoWorkers,
    /// The same with that limit.
    HelloTwoWorkersLimited,
    /// C: recvmmsg and sendmmsg.
    CBatch,
    /// C: recvfrom and sendto.
    CSingle,
    /// C: the system calls of ours, and nothing else.
    CGrouped,
    /// Rust: the standard library.
    RustStd,
    /// Rust: tokio.
    Tokio,
    /// Rust: quinn-udp.
    QuinnUdp,
    /// Python 3: the tutorial.
    Python,
}

/// How long a name may be in these benchmarks, in bytes.
const MAX_NAME: usize = 1200;

impl Peer {
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Makes sure that there is what it takes to start it: other programs, for some. What is built
    /// goes into `directory`.
    pub(crate) fn prepare(self, directory: &Path) -> Result<(), Box<dyn Error>> {
        let mut command = match self {
            Self::CBatch => compiler("batch", directory),
            Self::CSingle => compiler("single", directory),
            Self::CGrouped => compiler("grouped", directory),
            Self::Python => {
                let mut python = Command::new("python3");
                python.arg("--version").stdout(Stdio::null());
                python
            }
            _ => return Ok(()),
        };
        let program = command.get_program().display().to_string();
        match command.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("{}: {program}: {status}", self.name()).into()),
            Err(error) => Err(format!("{}: {program}: {error}", self.name()).into()),
        }
    }

    /// Returns the command that starts it, once prepared, which prints the address it is bound to.
    pub(crate) fn command(self, directory: &Path, buffer: usize) -> io::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        match self {
            Self::CBatch => command.arg("become").arg(directory.join("batch")),
            Self::CSingle => command.arg("become").arg(directory.join("single")),
            Self::CGrouped => command.arg("become").arg(directory.join("grouped")),
            Self::Python => command.args(["become", "python3"]).arg(source("tutorial.py")),
            _ => command.args(["serve", &self.name()]),
        };
        command.arg(buffer.to_string());
        Ok(command)
    }

    /// Is the server, for those written in Rust; returns only if it fails.
    pub(crate) fn serve(self, buffer: usize) -> Result<(), Box<dyn Error>> {
        let guard = Guard::new().with_max_name_len(MAX_NAME);
        let hello = Server::builder().guard(guard).receive_buffer(buffer).rate_limit(None);
        let hello = hello.events(EventFilter::Nothing);
        let hello = match self {
            Self::Hello | Self::HelloAgain => hello,
            Self::HelloPortable => hello.backend(Backend::Portable),
            Self::HelloSpinning => hello.spin(Duration::from_micros(50)),
            Self::HelloUnguarded => {
                let all = Refusal::ALL.into_iter().filter(|rule| *rule != Refusal::NameTooLong);
                hello.guard(all.fold(guard, Guard::allow))
            }
            Self::HelloLimited => hello.rate_limit(unreached()?),
            Self::HelloTwoWorkers => hello.workers(TWO),
            Self::HelloTwoWorkersLimited => hello.workers(TWO).rate_limit(unreached()?),
            Self::RustStd => return Ok(serve_std(&bound(buffer)?)?),
            Self::Tokio => return Ok(serve_tokio(bound(buffer)?)?),
            Self::QuinnUdp => return Ok(serve_quinn(&bound(buffer)?)?),
            Self::CBatch | Self::CSingle | Self::CGrouped | Self::Python => {
                return Err("not written in Rust".into());
            }
        };
        let server = hello.bind([(Ipv4Addr::LOCALHOST, 0).into()])?;
        server.local_addrs().try_for_each(announce)?;
        Ok(server.serve(|_event| ())?)
    }
}

const TWO: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1);

/// Returns a limit that holds for the loopback, too, and that nobody exceeds.
fn unreached() -> Result<RateLimit, Box<dyn Error>> {
    let rate = NonZeroU32::try_from(Rate::MAX_RATE)?;
    Ok(RateLimit::new(Rate::new(rate, NonZeroU32::MAX)?))
}

/// Returns the command that compiles a peer written in C.
fn compiler(name: &str, directory: &Path) -> Command {
    let mut compiler = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
    compiler.arg("-O2").arg(source(&format!("{name}.c"))).arg("-o").arg(directory.join(name));
    compiler
}

/// Returns where a peer's source stands.
fn source(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/servers/peers").join(file)
}

fn announce(address: SocketAddr) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "{address}")?;
    out.flush()
}

fn bound(buffer: usize) -> Result<UdpSocket, Box<dyn Error>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    buffers::set(&socket, buffer)?;
    announce(socket.local_addr()?)?;
    Ok(socket)
}

fn serve_std(socket: &UdpSocket) -> io::Result<()> {
    let mut buf = [0; MAX_NAME + OVERHEAD];
    let mut frame = Frame::new(&mut buf).map_err(io::Error::other)?;
    loop {
        let (len, source) = socket.recv_from(frame.recv_buf())?;
        let reply = frame.reply(len).map_err(io::Error::other)?;
        socket.send_to(reply, source)?;
    }
}

fn serve_tokio(socket: UdpSocket) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    tokio::runtime::Builder::new_current_thread().enable_io().build()?.block_on(async {
        let socket = tokio::net::UdpSocket::from_std(socket)?;
        let mut buf = [0; MAX_NAME + OVERHEAD];
        let mut frame = Frame::new(&mut buf).map_err(io::Error::other)?;
        loop {
            let (len, source) = socket.recv_from(frame.recv_buf()).await?;
            let reply = frame.reply(len).map_err(io::Error::other)?;
            socket.send_to(reply, source).await?;
        }
    })
}

/// Receives in batches and trains, and sends a train for a train.
fn serve_quinn(socket: &UdpSocket) -> io::Result<()> {
    let state = UdpSocketState::new(socket.into())?;
    let mut memory = vec![vec![0; 65_535]; BATCH_SIZE];
    let mut metas = [RecvMeta::default(); BATCH_SIZE];
    let mut replies = Vec::with_capacity(2 * 65_535);
    loop {
        let mut spaces = Vec::from_iter(memory.iter_mut().map(|space| IoSliceMut::new(space)));
        let received = match state.recv(socket.into(), &mut spaces, &mut metas) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                poll(&mut [PollFd::new(socket, PollFlags::IN)], None)?;
                continue;
            }
            received => received?,
        };
        for (meta, space) in metas.iter().zip(&memory).take(received) {
            replies.clear();
            for name in space[..meta.len].chunks(meta.stride.max(1)) {
                let reply = Request::new(name).map_err(io::Error::other)?.reply();
                replies.extend(reply.parts().into_iter().flatten());
            }
            let segment = meta.stride + OVERHEAD;
            let train = Transmit {
                destination: meta.addr,
                ecn: None,
                contents: &replies,
                segment_size: (meta.len > meta.stride).then_some(segment),
                src_ip: None,
            };
            state.try_send(socket.into(), &train)?;
        }
    }
}
