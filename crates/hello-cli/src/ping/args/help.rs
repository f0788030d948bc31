//! The headings of the help, the text after the options, and the options that exclude a mode.

pub(super) const PROBES: &str = "Probes";
pub(super) const TARGETS: &str = "Targets";
pub(super) const PACKETS: &str = "Packets";
pub(super) const PATHS: &str = "Paths";
pub(super) const THRESHOLDS: &str = "Thresholds";
pub(super) const OUTPUT: &str = "Output";

/// The options that exclude --trace.
pub(super) const NO_TRACE: [&str; 18] = [
    "count",
    "interval",
    "allow_flood",
    "duration",
    "quiet",
    "timestamps",
    "every",
    "max_loss",
    "max_p99",
    "max_jitter",
    "max_outage",
    "export_json",
    "export_csv",
    "export_markdown",
    "columns",
    "metrics_file",
    "metrics_listen",
    "ttl",
];

/// The options that exclude --mtu.
pub(super) const NO_MTU: [&str; 24] = [
    "count",
    "interval",
    "allow_flood",
    "size",
    "duration",
    "deadline",
    "flows",
    "pmtudisc",
    "dont_fragment",
    "timestamps",
    "every",
    "max_loss",
    "max_p99",
    "max_jitter",
    "max_outage",
    "metrics_file",
    "metrics_listen",
    "export_json",
    "export_csv",
    "export_markdown",
    "columns",
    "plot",
    "trace",
    "trace_on_loss",
];

pub(super) const AFTER_HELP: &str = "\
Examples:
  hello-ping -c 5 192.0.2.1                Send five probes, like ping
  hello-ping -c 1000 -i 10ms -q 192.0.2.1  Measure percentiles in ten seconds
  hello-ping --trace 192.0.2.1             Show the routers on the path
  hello-ping --flows 8 -i 20ms --trace-on-loss 192.0.2.1
                                           Name the router that loses

See --help for details, more examples and exit status.";

pub(super) const AFTER_LONG_HELP: &str = "\
Units:
  TIME  seconds, or numbers with units: 0.5, 10ms, 1m30s

Examples:
  hello-ping                               Probe 127.0.0.1:9999 every second until Ctrl-C
  hello-ping -c 5 192.0.2.1                Send five probes, like ping
  hello-ping -c 1000 -i 10ms -q 192.0.2.1  Measure percentiles in ten seconds
  hello-ping --flows 16 -i 20ms --duration 1m 192.0.2.1
                                           Cover the paths of an ECMP network
  hello-ping 192.0.2.1 192.0.2.2 --every 10s
                                           Compare two servers
  hello-ping -c 100 -i 20ms --max-loss 1 --max-p99 50ms 192.0.2.1 || echo degraded
                                           Check a path in a script
  hello-ping -i 100ms --duration 1h -q --max-outage 2s 192.0.2.1
                                           Find interruptions, and fail if one is long
  hello-ping -Q ef --ecn ect0 192.0.2.1    Measure the class of voice, with ECN
  hello-ping -M do -s 1464 --peer echo 192.0.2.1
                                           Check that packets of 1492 bytes pass whole
  hello-ping --trace 192.0.2.1             Show the routers on the path
  hello-ping --flows 8 -c 800 -i 20ms --trace-on-loss --plot paths.svg 192.0.2.1
                                           Name the routers that only losing flows pass
  hello-ping -c 500 -i 20ms --plot rtt.svg 192.0.2.1
                                           Draw round-trip times and losses
  hello-ping --mtu 192.0.2.1               Find the path MTU
  hello-ping --flows 8 -i 20ms --trace-on-loss --json 192.0.2.1 > run.jsonl
                                           Record a run, while the server records its packets with
                                           tcpdump -i any -w server.pcap udp
  hello-ping --join run.jsonl --capture server.pcap
                                           Find out where, in which direction and when probes were
                                           lost

Signals:
  SIGINT, SIGTERM, SIGHUP  Stop sending, wait for the probes in flight until their timeout, and
                           print the summary. A second signal skips the wait and exits within half
                           a second.
  SIGHUP with --targets    Read FILE again instead, and continue
  SIGQUIT                  Print the summary so far and continue
  On Windows, Ctrl-C is SIGINT, and Ctrl-Break is SIGQUIT.

Exit status:
  0  Every target replied, and no threshold was exceeded; with --mtu, each result was found
  1  A target could not be probed, never replied, or replied to fewer than COUNT probes (-c) before
     the deadline (-w), or a threshold was exceeded
  2  Invalid command line, no target could be probed, or a socket or an output failed";
