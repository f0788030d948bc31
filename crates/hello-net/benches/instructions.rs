//! Counts the processor instructions that the server's own code takes for each datagram, with
//! valgrind's callgrind: from the receive call's glue to the accounting of the replies. The system's
//! own instructions are not among them. The numbers hardly differ between runs, whatever else the
//! machine does.
//!
//! `cargo bench --package hello-net --bench instructions` prints a table, and `-- --check FILE`
//! compares it with the one in a document: it fails if a number has grown by more than 5 per cent.

use std::error::Error;
use std::hint::black_box;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;
use std::{env, fs};

use clap::{Parser, Subcommand, ValueEnum};
use hello_net::{EventFilter, RateLimit, Server, ServerEvent};
use hello_proto::{MAX_DATAGRAM_LEN, OVERHEAD, Rate};
use quinn_udp::{Transmit, UdpSocketState};
use socket2::SockRef;

/// Counts the instructions of the server's own code for each datagram.
#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    command: Option<Role>,

    /// Fail if a number is more than 5 per cent above the one in this document's table.
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,

    /// What `cargo bench` says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Is the server whose instructions are counted.
    #[command(hide = true)]
    Serve { configuration: Configuration },
}

/// How the server is configured, as a column of the table.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Configuration {
    /// Without a limit, and nothing is observed.
    Plain,
    /// The same, with a limit that nobody exceeds.
    Limited,
    /// Without a limit, and each datagram is shown to an observer.
    Observed,
}

/// What the server is asked, as a row of the table.
#[derive(Debug)]
struct Workload {
    name: &'static str,
    sources: usize,
    /// The datagrams that a client sends as one message.
    train: usize,
    /// The length of each name, in bytes.
    len: usize,
}

const WORKLOADS: [Workload; 5] = [
    Workload { name: "256 sources, 8 B", sources: 256, train: 1, len: 8 },
    Workload { name: "16 sources, 8 B", sources: 16, train: 1, len: 8 },
    Workload { name: "1 source, 8 B", sources: 1, train: 1, len: 8 },
    Workload { name: "trains of 64, 8 B", sources: 1, train: 64, len: 8 },
    Workload { name: "trains of 64, 64 B", sources: 1, train: 64, len: 64 },
];

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    match &args.command {
        Some(Role::Serve { configuration }) => return serve(*configuration),
        None if !args.bench => {
            println!("This is a benchmark: cargo bench --package hello-net --bench instructions");
            return Ok(());
        }
        None => {}
    }
    let document = args.check.as_ref().map(fs::read_to_string).transpose()?;
    let mut grown = Vec::new();
    println!("| instructions per datagram | plain | with a limit | with an observer |");
    println!("|---|---|---|---|");
    for workload in &WORKLOADS {
        let mut counts = Vec::new();
        for configuration in Configuration::value_variants() {
            counts.push(workload.instructions_each(*configuration)?);
        }
        println!(
            "| {} | {} |",
            workload.name,
            counts.iter().map(u64::to_string).collect::<Vec<_>>().join(" | ")
        );
        let Some(document) = &document else { continue };
        let committed = committed(document, workload.name)?;
        for (count, committed) in counts.into_iter().zip(committed) {
            if 100 * count > 105 * committed {
                grown.push(format!("{}: {committed} to {count}", workload.name));
            }
        }
    }
    if grown.is_empty() {
        return Ok(());
    }
    Err(format!("more instructions than committed: {}", grown.join("; ")).into())
}

/// Returns the numbers of a row of a document's table.
fn committed(document: &str, name: &str) -> Result<Vec<u64>, Box<dyn Error>> {
    let row = document.lines().find_map(|line| line.strip_prefix(&format!("| {name} | ")));
    let row = row.ok_or_else(|| format!("the document has no row for {name}"))?;
    let numbers = row.trim_end_matches(" |").split(" | ").map(str::parse);
    let numbers =
        numbers.collect::<Result<Vec<_>, _>>().map_err(|error| format!("{row}: {error}"))?;
    let expected = Configuration::value_variants().len();
    if numbers.len() != expected {
        return Err(format!("the row for {name} has not {expected} numbers: {row}").into());
    }
    Ok(numbers)
}

impl Workload {
    /// Returns two numbers of messages; the difference between the two runs is the messages
    /// themselves. They are multiples of the server's batches and of the sources, and few enough for
    /// the server's receive buffer.
    fn messages(&self) -> [usize; 2] {
        if self.train > 1 { [64, 192] } else { [256, 512] }
    }

    /// Returns the instructions of one datagram, without those of the program's start.
    fn instructions_each(&self, configuration: Configuration) -> Result<u64, Box<dyn Error>> {
        let messages = self.messages();
        let [fewer, more] = messages.map(|messages| self.instructions(messages, configuration));
        let datagrams = ((messages[1] - messages[0]) * self.train) as u64;
        Ok((more?.saturating_sub(fewer?) + datagrams / 2) / datagrams)
    }

    /// Returns the instructions of a server that answers this many messages, which wait in its
    /// receive buffer when it begins.
    fn instructions(
        &self,
        messages: usize,
        configuration: Configuration,
    ) -> Result<u64, Box<dyn Error>> {
        let mut command = Command::new("valgrind");
        command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
        command.arg(env::current_exe()?).arg("serve");
        command.args(configuration.to_possible_value().map(|value| value.get_name().to_owned()));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut server = command.spawn().map_err(|error| {
            format!("valgrind: {error}; install it, on Debian with apt-get install valgrind")
        })?;
        let mut address = String::new();
        BufReader::new(server.stdout.take().ok_or("no output")?).read_line(&mut address)?;
        let clients = self.ask(address.trim_end().parse()?, messages)?;
        // It begins.
        let mut input = server.stdin.take().ok_or("no input")?;
        input.write_all(b"\n")?;
        self.receive(&clients, messages)?;
        // It ends.
        drop(input);
        let output = server.wait_with_output()?;
        let report = String::from_utf8_lossy(&output.stderr);
        let collected = report.lines().find_map(|line| line.split_once("Collected : "));
        match collected {
            Some((_, count)) if output.status.success() => Ok(count.trim().parse()?),
            _ => Err(format!("valgrind did not count:\n{report}").into()),
        }
    }

    /// Sends all messages, from the sources in turn.
    fn ask(&self, server: SocketAddr, messages: usize) -> io::Result<Vec<UdpSocket>> {
        let client = |_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
        let clients = (0..self.sources).map(client).collect::<io::Result<Vec<_>>>()?;
        let message = Transmit {
            destination: server,
            ecn: None,
            contents: &vec![b'x'; self.train * self.len],
            segment_size: (self.train > 1).then_some(self.len),
            src_ip: None,
        };
        for number in 0..messages {
            let client = &clients[number % self.sources];
            UdpSocketState::new(client.into())?.try_send(client.into(), &message)?;
        }
        for client in &clients {
            client.set_nonblocking(false)?;
            SockRef::from(client).set_recv_buffer_size(BUFFER)?;
            client.set_read_timeout(Some(Duration::from_secs(20)))?;
        }
        Ok(clients)
    }

    /// Receives all replies, one by one or in trains.
    fn receive(&self, clients: &[UdpSocket], messages: usize) -> Result<(), Box<dyn Error>> {
        let mut replies = vec![0; MAX_DATAGRAM_LEN];
        for client in clients {
            let mut left = messages / clients.len() * self.train * (self.len + OVERHEAD);
            while left > 0 {
                let len = client.recv(&mut replies);
                let len = len.map_err(|error| format!("{left} bytes are missing: {error}"))?;
                left = left.checked_sub(len).ok_or("more replies than requests")?;
            }
        }
        Ok(())
    }
}

/// The receive buffer of a client, in bytes: room for the replies to a batch. Linux grants so much if
/// `net.core.rmem_max` is not lower.
const BUFFER: usize = 2 << 20;

/// Serves what waits in its receive buffer when a line arrives, until there are no more lines.
fn serve(configuration: Configuration) -> Result<(), Box<dyn Error>> {
    let unreached = Rate::new(NonZeroU32::try_from(Rate::MAX_RATE)?, NonZeroU32::MAX)?;
    let (limit, events) = match configuration {
        Configuration::Plain => (None, EventFilter::Nothing),
        Configuration::Limited => (Some(RateLimit::new(unreached)), EventFilter::Nothing),
        Configuration::Observed => (None, EventFilter::All),
    };
    let server = Server::builder().rate_limit(limit).events(events);
    let server = server.bind([(Ipv4Addr::LOCALHOST, 0).into()])?;
    let mut out = io::stdout();
    server.local_addrs().try_for_each(|address| writeln!(out, "{address}"))?;
    out.flush()?;
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    // What an observer does with an event is not among the instructions, but looking at it is.
    let observe = |event: &ServerEvent<'_>| _ = black_box(*event);
    server.serve_while(observe, || io::stdin().read_line(&mut line).map(drop))??;
    Ok(())
}
