#!/usr/bin/env python3
"""What an answer in the driver costs, and what it withstands: see docs/performance.md.

Run it on an idle machine with two processors or more:

    cargo build --release --package hello-cli
    sudo crates/hello-cli/benches/driver/run.py target/release

It needs clang-14 and libbpf-dev, cc, iproute2, bpftool and ethtool. All traffic is in two network
namespaces of its own, which are deleted at the end.
"""

import argparse
import contextlib
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile

import attacks

HERE = pathlib.Path(__file__).resolve().parent
SERVER, CLIENT = (f"hello-{side}-{os.getpid()}" for side in ("server", "client"))
ADDRESS, PORT = "10.77.0.1", 9999
STATISTICS = pathlib.Path("/proc/sys/kernel/bpf_stats_enabled")
# The generator and hello-ping are on the last processor, the server is on the first.
FIRST, LAST = "0", str(os.cpu_count() - 1)


def run(*command, **more):
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, **more).stdout


def within(namespace, *command):
    return ("ip", "netns", "exec", namespace, *command)


def build(directory):
    """Compiles the C files beside this one."""
    run("cc", "-O2", "-pthread", HERE / "generator.c", "-o", directory / "generator")
    for name in ("turn", "pass"):
        machine = f"/usr/include/{os.uname().machine}-linux-gnu"
        run("clang-14", "-target", "bpfel", "-mcpu=v3", "-O2", "-g", "-idirafter", machine,
            "-c", HERE / f"{name}.bpf.c", "-o", directory / f"{name}.o")


@contextlib.contextmanager
def network():
    """A veth pair between two namespaces. Its sender computes checksums, as for a wire."""
    try:
        for namespace in (SERVER, CLIENT):
            run("ip", "netns", "add", namespace)
        run("ip", "link", "add", "hs", "netns", SERVER, "type", "veth", "peer", "hc", "netns", CLIENT)
        for namespace, link, address in ((SERVER, "hs", ADDRESS), (CLIENT, "hc", "10.77.0.2")):
            run("ip", "-n", namespace, "address", "add", f"{address}/24", "dev", link)
            for name in ("lo", link):
                run("ip", "-n", namespace, "link", "set", name, "up")
        run(*within(CLIENT, "ethtool", "-K", "hc", "tx", "off"))
        # The clients are of another network than the server's, as most are.
        run("ip", "-n", CLIENT, "address", "add", f"{attacks.BYSTANDER}/32", "dev", "lo")
        run("ip", "-n", CLIENT, "route", "replace", "10.77.0.0/24", "dev", "hc", "src",
            attacks.BYSTANDER)
        run("ip", "-n", SERVER, "route", "add", "default", "via", "10.77.0.2")
        yield
    finally:
        for namespace in (SERVER, CLIENT):
            subprocess.run(("ip", "netns", "delete", namespace), stderr=subprocess.DEVNULL)


@contextlib.contextmanager
def program(namespace, link, path, mode="xdpdrv"):
    """An XDP program on an interface."""
    run("ip", "-n", namespace, "link", "set", link, mode, "object", path, "section", "xdp")
    try:
        yield
    finally:
        run("ip", "-n", namespace, "link", "set", link, mode, "off")


@contextlib.contextmanager
def server(binaries, *options):
    """hello-server, once it serves."""
    command = within(SERVER, "taskset", "-c", FIRST, binaries / "hello-server", "--quiet",
                     "--bind", f"{ADDRESS}:{PORT}", *options)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        while "listening on" not in (line := process.stdout.readline()):
            if not line:
                sys.exit("hello-server did not start")
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()


class Bench:
    def __init__(self, directory, binaries, quick, cycles):
        self.directory, self.binaries, self.quick = directory, binaries, quick
        self.cycles = 1 if quick else cycles

    def generate(self, rate, seconds):
        """Sends requests; returns what the generator measured."""
        command = within(CLIENT, self.directory / "generator", ADDRESS, str(PORT), str(rate), str(seconds))
        result = json.loads(run(*command))
        if result["sent"] - result["received"] > result["sent"] / 1000:
            print(f"void: {result}: requests were lost", file=sys.stderr)
        return result

    @contextlib.contextmanager
    def system(self, name):
        """What the requests are sent to."""
        with contextlib.ExitStack() as stack:
            if name not in ("idle", "socket"):
                stack.enter_context(program(CLIENT, "hc", self.directory / "pass.o"))
            if name == "turn":
                stack.enter_context(program(SERVER, "hs", self.directory / "turn.o"))
            elif name in ("socket", "socket, program at the client"):
                stack.enter_context(server(self.binaries, "--limit", "off"))
            elif name == "driver":
                stack.enter_context(server(self.binaries, "--limit", "off", "--xdp", "hs"))
            elif name == "driver, limit":
                stack.enter_context(server(self.binaries, "--limit", "10000000", "--xdp", "hs"))
            elif name == "driver, default limit":
                stack.enter_context(server(self.binaries, "--xdp", "hs"))
            yield

    def in_turn(self, names, measure):
        """Measures each in turn, A B C and then C B A; returns the results of each."""
        results = {name: [] for name in names}
        for cycle in range(self.cycles):
            for name in (names, names[::-1])[cycle % 2]:
                with self.system(name):
                    results[name].append(measure(name))
        return results

    # ---- CPU time ----

    def run_time(self, _):
        """The run times of the programs at the server's end and at the client's, in nanoseconds."""
        def read(namespace, link):
            shown = json.loads(run("ip", "-n", namespace, "-json", "link", "show", link))[0]
            shown = json.loads(run("bpftool", "--json", "prog", "show", "id", str(shown["xdp"]["prog"]["id"])))
            return shown.get("run_time_ns", 0), shown.get("run_cnt", 0)
        ends = ((SERVER, "hs"), (CLIENT, "hc"))
        before = [read(*end) for end in ends]
        self.generate(50_000, 0.1 if self.quick else 1)
        after = [read(*end) for end in ends]
        return [(time - old_time) / (runs - old_runs)
                for (time, runs), (old_time, old_runs) in zip(after, before)]

    def run_times(self):
        old = STATISTICS.read_text()
        STATISTICS.write_text("1")
        try:
            results = {}
            for form, offload in (("complete", "off"), ("partial", "on")):
                run(*within(CLIENT, "ethtool", "-K", "hc", "tx", offload))
                # What is turned around with a partial checksum is dropped.
                names = ["turn", "driver", "driver, limit"][form == "partial":]
                for name, times in self.in_turn(names, self.run_time).items():
                    results[name, form] = [time for time, _ in times]
                    results.setdefault(("empty", form), []).extend(time for _, time in times)
            return results
        finally:
            STATISTICS.write_text(old)
            run(*within(CLIENT, "ethtool", "-K", "hc", "tx", "off"))

    def totals(self):
        """The whole machine's time for each reply, in nanoseconds, less what it takes when idle."""
        def measure(name):
            seconds = 0.1 if self.quick else 2
            result = self.generate(0 if name == "idle" else 50_000, seconds)
            return (result["busy_ns"] / seconds, result["measured"] / seconds)
        results = self.in_turn(
            ["idle", "socket", "socket, program at the client", "turn", "driver", "driver, limit"], measure)
        idle = [busy for busy, _ in results.pop("idle")]
        if statistics.median(idle) > 2e7 * os.cpu_count():
            print(f"void: idle, the machine is busy for {statistics.median(idle) / 1e9:.2f} s a second",
                  file=sys.stderr)
        return {name: [(busy - nothing) / rate for (busy, rate), nothing in zip(measured, idle)]
                for name, measured in results.items()}

    # ---- Round-trip time, and bystanders ----

    def ping(self, source, interval, count):
        command = within(CLIENT, "taskset", "-c", LAST, self.binaries / "hello-ping", "--quiet",
                         "--interface", source, "--interval", interval, "--count", str(count), "--timeout", "1s",
                         "--allow-flood", "--export-json", "-", f"{ADDRESS}:{PORT}")
        process = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            return json.loads(process.stdout)["results"][0]
        except ValueError:
            sys.exit(f"hello-ping: {process.stdout}{process.stderr}")

    def round_trips(self):
        def measure(_):
            seconds = 0.2 if self.quick else 5
            results = []
            for busy in (False, True):
                burner = busy and subprocess.Popen(
                    ("taskset", "-c", FIRST, "timeout", str(seconds + 10), "sh", "-c", "while :; do :; done"))
                results.append(self.ping("10.77.0.2", "1ms", int(1000 * seconds)))
                if burner:
                    burner.terminate()
                    burner.wait()
            return results
        return self.in_turn(["socket", "driver"], measure)

    def bystanders(self):
        """The share of a bystander's requests that is answered while others attack."""
        seconds = 0.2 if self.quick else 5
        shares = {}
        for name in attacks.ATTACKS:
            with self.system("driver, default limit"):
                attack = subprocess.Popen(within(
                    CLIENT, sys.executable, HERE / "attacks.py", name, ADDRESS, str(PORT), str(1.2 * seconds)),
                    stdout=subprocess.PIPE, text=True)
                attack.stdout.readline()  # it has begun
                result = self.ping(attacks.BYSTANDER, "10ms", int(100 * seconds))
                rate = float(attack.communicate()[0])
                shares[name] = (rate, result["answered"] / result["sent"])
        return shares


# ---- The report ----

def shown(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def spread(values):
    """The median, and the 10th and the 90th percentile in brackets."""
    if not values:
        return ""
    tenths = statistics.quantiles(values, n=10, method="inclusive") if len(values) > 1 else [values[0]] * 9
    return f"{shown(statistics.median(values))} ({shown(tenths[0])}-{shown(tenths[-1])})"


def table(title, head, rows):
    print(f"\n## {title}\n\n| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)


def ratios(above, below):
    return [a / b for a, b in zip(above, below)]


def report_cpu(bench):
    times = bench.run_times()
    table("Run time of the program, in ns, by the kernel's statistics",
          ("program", "checksums complete (a wire's)", "partial (a veth pair's)"),
          ((name, spread(times[name, "complete"]), spread(times.get((name, "partial"))))
           for name in ("empty", "turn", "driver", "driver, limit")))
    empty = statistics.median(times["empty", "complete"])
    turn = statistics.median(times["turn", "complete"]) - empty

    totals = bench.totals()
    # What a reply costs beside the program that makes it: the generator, and both ends of the pair.
    generator = [total - turn for total in totals["turn"]]
    without = {name: [total - rest for total, rest in zip(measured, generator)]
               for name, measured in totals.items()}
    # The cheaper one: with a program, the client's end copies what a socket sends.
    base = min(("socket", "socket, program at the client"), key=lambda name: statistics.median(without[name]))
    table(f"The whole machine's CPU time for each reply, in ns (turn's own: {turn:.0f})",
          ("system", "all", "less the generator's", f"the latter, to that of: {base}", "all, to that of: turn"),
          ((name, spread(totals[name]), spread(without[name]), spread(ratios(without[name], without[base])),
            spread(ratios(totals[name], totals["turn"]))) for name in totals))


def report_round_trips(bench):
    rows = []
    for name, results in bench.round_trips().items():
        for percentile in ("p50", "p99"):
            # Too few round trips have no p99.
            idle, busy = ([1000 * (result["rtt_ms"][percentile] or result["rtt_ms"]["max"]) for result in part]
                          for part in zip(*results))
            rows.append((name, percentile, spread(idle), spread(busy), spread(ratios(busy, idle))))
    table("Round-trip times, in us", ("system", "", "idle", "the server's processor busy", "ratio"), rows)


def report_bystanders(bench):
    table("A bystander's requests answered during attacks", ("attack", "packets/s", "answered"),
          ((name, f"{rate:,.0f}", f"{share:.2%}") for name, (rate, share) in bench.bystanders().items()))


PARTS = {"cpu": report_cpu, "round-trips": report_round_trips, "bystanders": report_bystanders}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="show only that everything works")
    parser.add_argument("binaries", type=pathlib.Path, help="the directory of hello-server and hello-ping")
    parser.add_argument("--cycles", type=int, default=15, help="turns of each system [default: 15]")
    parser.add_argument("--only", choices=PARTS, action="append", help="measure this; repeat for several")
    args = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("run.py: needs root, for network namespaces and XDP programs")
    with tempfile.TemporaryDirectory() as directory, network():
        directory = pathlib.Path(directory)
        build(directory)
        bench = Bench(directory, args.binaries.resolve(), args.quick, args.cycles)
        for name in args.only or PARTS:
            PARTS[name](bench)


if __name__ == "__main__":
    main()
