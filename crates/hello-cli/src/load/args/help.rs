//! The headings of the help, and the text after the options.

pub(super) const TARGET: &str = "Target";
pub(super) const LOAD: &str = "Load";
pub(super) const TIMING: &str = "Timing";
pub(super) const SEARCH: &str = "Search and sweep";
pub(super) const OUTPUT: &str = "Output";

pub(super) const AFTER_LONG_HELP: &str = "\
Units:
  TIME   seconds, or numbers with units: 0.5, 500ms, 1m30s
  RATE   requests per second: 500, 10k, 1M
  COUNT  a number: 256, 10k, 1M

Examples:
  hello-load                                    Keep 64 requests outstanding for 10 s
  hello-load --rate 100k --poisson              Send 100,000 requests/s, as from many clients
  hello-load --train 64 --outstanding 4096      Spend little CPU time per request
  hello-load --sources 256 --outstanding 256    Send from 256 ports
  hello-load --sources 50k --sources-by addresses --rate 50k
                                                Send from 50,000 addresses
  hello-load --find-max --tolerance 0.1         Find the highest rate with at most 0.1% loss
  hello-load --sweep 10k..200k --plot load.svg  Plot latency and loss over the rate
  hello-load --rate 1k --remote 192.0.2.1       Load another machine
  hello-load --rate 1k --dscp af41 --remote 192.0.2.1
                                                Load it in the class of video

Signals:
  SIGINT, SIGTERM, SIGHUP  Stop sending, wait for the replies to the requests in flight, for the
                           timeout at most, and print the result. A second signal ends the wait
                           at once.
  On Windows, Ctrl-C is SIGINT.

Exit status:
  0  The server replied; with --find-max, a load was carried
  1  No reply, or no load was carried
  2  Invalid command line, or a socket or an output failed";
