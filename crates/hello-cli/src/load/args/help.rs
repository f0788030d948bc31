//! What the help has beside the options.

/// Whom to ask.
pub(super) const TARGET: &str = "Target";

/// What is offered.
pub(super) const LOAD: &str = "Load";

/// When it begins and ends.
pub(super) const TIME: &str = "Time";

/// What is found out by several runs.
pub(super) const SEARCH: &str = "Search and sweep";

/// What is printed and written.
pub(super) const OUTPUT: &str = "Console";

pub(super) const EXAMPLES: &str = "\
Examples:
  hello-load                                    64 requests outstanding at 127.0.0.1:9999, for 10 s
  hello-load --rate 100k --poisson              100000 requests a second, as from many clients
  hello-load --train 64 --outstanding 4096      with little work for each request
  hello-load --sources 256 --outstanding 256    from 256 ports
  hello-load --sources 50k --sources-by addresses --rate 50k
                                                from 50000 addresses
  hello-load --find-max --tolerance 0.1         the highest load with at most 0.1 % loss
  hello-load --sweep 10k..200k --plot load.svg  how latency and loss grow with the load
  hello-load --rate 1k --remote 192.0.2.1       another machine

Signals:
  SIGINT, SIGTERM, SIGHUP  stop sending, wait briefly for replies, and print what is known; a
                           second signal skips the wait, and ends the tool within half a second

Exit status:
  0  there were answers; with --find-max, a load was carried
  1  no request was answered, or no load was carried
  2  the command line is at fault, or a socket or an output failed";
