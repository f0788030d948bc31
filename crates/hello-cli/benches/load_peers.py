#!/usr/bin/env python3
"""Compares hello-load with sockperf and dnsperf over the loopback of a network namespace.

Needs Linux, root, two processors, cc, and the two programs:

    cargo build --release --package hello-cli
    sudo unshare --net crates/hello-cli/benches/load_peers.py target/release

docs/performance.md explains the method and the results.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import peers
from peers import CLIENT, SERVER

HERE = Path(__file__).resolve().parent
LOOPS = HERE.parents[1] / "hello-net/benches/servers/peers"
# Bytes per request. dnsperf's has 17, a query for the root.
SIZE = 16
BUFFER = 4 << 20
RATE = 100_000
PERCENTS = (50, 99, 99.9)
TRAINS, ANSWERED = "hello-load, trains", "us a request answered"
# Figures for which lower is not better.
PLAIN = (
    "answered, per cent",
    "sent",
    "answered",
    "replies that left, by the kernel",
    "in one datagram, by the kernel",
    "sent a second",
    "due and not sent",
    "drift ppm",
)
# A turn is void if the capture was too small, or if the kernel's counts differ from the tool's.
TRIES = 5
TOLERANCE = 0.001


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("release", type=Path, help="where the programs are")
    parser.add_argument("--turns", type=int, default=7, help="how often each tool runs")
    parser.add_argument("--seconds", type=int, default=2, help="for how long it does")
    parser.add_argument("--only", choices=["cost", "schedule"], help="measure only that")
    parser.add_argument("--json", type=Path, help="where the figures of each run go")
    options = parser.parse_args()

    directory = peers.enter()
    # This program has to read clocks on time, and must not disturb the clients.
    peers.own({SERVER})
    query = directory / "query"
    query.write_text(". A\n")
    single, batch, turn_around = (
        peers.build(directory, source)
        for source in (LOOPS / "single.c", LOOPS / "batch.c", HERE / "turn_around.c")
    )
    release, own = options.release.resolve(), "127.0.0.1:9999"
    hello_server = [release / "hello-server", "--bind", own, "--quiet", "--receive-buffer", BUFFER]
    sockperf_server = ["sockperf", "server", "-i", "127.0.0.1", "-p", 11111]
    servers = [
        peers.start(hello_server, SERVER),
        peers.start([*sockperf_server, "--buffer-size", BUFFER], SERVER),
    ]
    loops = [
        peers.start([loop, BUFFER], SERVER, stdout=subprocess.PIPE)
        for loop in (single, batch, turn_around)
    ]
    to_single, to_batch, to_dns = (loop.stdout.readline().decode().strip() for loop in loops)
    time.sleep(1)

    def hello(target, *words):
        return lambda seconds: Hello(release, target, seconds, *words)

    def sockperf(mode, *words, processors=(CLIENT,)):
        return lambda seconds: Sockperf(mode, seconds, words, processors)

    def dnsperf(*words):
        return lambda seconds: Dnsperf(query, to_dns, seconds, *words)

    each, at_most, full = ("--reply-every", 1), ("--mps", "max"), ("--mps", RATE)
    apart = ("--sender-affinity", CLIENT, "--receiver-affinity", SERVER)
    trains, closed = ("--train", 64, "--outstanding", 4096), ("--outstanding", 64)
    cost = {
        TRAINS: hello(own, *trains),
        "hello-load": hello(own, *closed),
        "hello-load, C loop": hello(to_single, *closed),
        "hello-load, C batches": hello(to_batch, *closed),
        "sockperf ping-pong -b 64": sockperf("ping-pong", "-b", 64, *at_most),
        "sockperf under-load": sockperf("under-load", *at_most, *each),
        "dnsperf -q 64": dnsperf("-q", 64),
        "dnsperf -q 1000": dnsperf("-q", 1000),
    }
    even = {
        "hello-load": hello(to_single, "--rate", RATE),
        "hello-load, own server": hello(own, "--rate", RATE),
        "sockperf under-load": sockperf("under-load", *full, *each),
        # The receiving thread is on the server's processor, and does not disturb the sending one.
        "sockperf, two processors": sockperf(
            "under-load", *full, *each, *apart, processors=(CLIENT, SERVER)
        ),
        # Nothing is answered.
        "sockperf throughput": sockperf("throughput", *full),
        "dnsperf": dnsperf("-Q", RATE, "-q", 1000),
    }
    raw = {}
    try:
        if options.only != "schedule":
            raw["cost"] = take_turns(options, cost, measure_cost)
        if options.only != "cost":
            raw["schedule"] = take_turns(options, even, measure_schedule)
    finally:
        for server in servers + loops:
            server.kill()
            server.wait()
        if options.json:
            options.json.write_text(json.dumps(raw, indent=1) + "\n")
    for title, tools in (("cost", cost), ("schedule", even)):
        if title in raw:
            print(f"\n# {title}")
            peers.report(list(tools), columns(raw[title]), plain=PLAIN)
    if "cost" in raw:
        print("\n# the kernel's share, in ns per datagram")
        calls = peers.start([peers.build(directory, HERE / "calls.c")], CLIENT, stdout=subprocess.PIPE)
        print(calls.communicate()[0].decode(), end="")
        print("\n# cost, without trains")
        results = columns({tool: runs for tool, runs in raw["cost"].items() if tool != TRAINS})
        results = {key: values for key, values in results.items() if key[1] == ANSWERED}
        peers.report(list(cost), results, "hello-load, C loop")


def take_turns(options, tools, measure):
    """Returns the measurements of each tool in each turn."""
    runs = {tool: [] for tool in tools}
    for tool in peers.turns(options.turns, list(tools)):
        for _ in range(TRIES):
            figures, void = measure(tools[tool](options.seconds))
            if not void:
                break
            print(f"{tool}: void, {void}", file=sys.stderr)
        else:
            sys.exit(f"{tool}: {TRIES} runs were void")
        runs[tool].append(figures)
    return runs


def columns(runs):
    """Returns the figures of all turns, by tool and by figure."""
    results = {}
    for tool, turns in runs.items():
        for figures in turns:
            for what, value in figures.items():
                if value is not None:
                    results.setdefault((tool, what), []).append(value)
    return results


def measure_cost(tool):
    """Returns the cost of a tool's requests, and the reason if the turn is void."""
    before = on_loopback()
    text, cpu, share = run(tool)
    if not share:
        return {}, HELD_UP
    sent, answered, stated = tool.read(text)
    carried, datagrams = (after - then for after, then in zip(on_loopback(), before))
    # A train counts as one datagram, so its bytes identify its contents. Bytes that are not requests are
    # replies.
    replies = (carried - HEADERS * datagrams - sent * tool.request) / tool.reply
    figures = {
        ANSWERED: cpu / (answered * share) * 1e6,
        "us a request sent": cpu / (sent * share) * 1e6,
        "us a request sent, as stated": stated.get("cpu"),
        "answered a second": answered / tool.seconds,
        "answered, per cent": answered / sent * 100,
        "sent": sent,
        "answered": answered,
        "replies that left, by the kernel": replies,
        "in one datagram, by the kernel": (sent + replies) / datagrams,
    }
    return figures, mismatch(answered, replies, sent)


def measure_schedule(tool):
    """Returns how evenly a tool sent, and the reason if the turn is void."""
    capture = peers.Capture(RATE * (tool.seconds + 1), tool.port)
    text, cpu, share = run(tool)
    times, dropped = capture.read()
    if dropped or not share:
        return {}, f"{dropped} datagrams were not captured" if dropped else HELD_UP
    sent, answered, stated = tool.read(text)
    number = sum(map(len, times.values()))
    times = sorted(time for way in times.values() for time in way)
    figures = peers.schedule(times, 1 / RATE, PERCENTS)
    figures |= {f"late {what}, as stated": value for what, value in stated["late"].items()}
    figures |= {
        "sent a second": (len(times) - 1) / (times[-1] - times[0]) * 1e9,
        "due and not sent": stated.get("not sent"),
        "answered, per cent": answered / sent * 100 if answered is not None else None,
        "us a request sent": cpu / (sent * share) * 1e6,
    }
    return figures, mismatch(sent, number, sent)


def mismatch(least, counted, most):
    """Returns the kernel's count if the tool's count differs."""
    if least * (1 - TOLERANCE) <= counted <= most * (1 + TOLERANCE):
        return None
    return f"the kernel counted {counted:.0f}, and the tool {least} to {most}"


def on_loopback():
    """Returns the bytes and datagrams sent on the loopback."""
    line = next(line for line in Path("/proc/net/dev").read_text().splitlines() if "lo:" in line)
    return [int(value) for value in line.split(":")[1].split()[8:10]]


def run(tool):
    """Runs a tool. Returns its output, its CPU time without start and end, and the share of its requests in
    that time, by the bytes on the loopback; 0 if it ended too soon."""
    with tempfile.TemporaryFile() as out:
        before = on_loopback()[0]
        process = peers.start(tool.command, *tool.processors, stdout=out, stderr=out)
        while on_loopback()[0] == before and process.poll() is None:
            time.sleep(0.02)
        time.sleep(MARGIN)
        try:
            cpu, carried = peers.cpu(process), on_loopback()[0]
            time.sleep(tool.seconds - 2 * MARGIN)
            cpu, carried = peers.cpu(process) - cpu, on_loopback()[0] - carried
        except OSError:
            carried = 0
        if process.poll() is not None:
            carried = 0
        process.wait()
        out.seek(0)
        text = out.read().decode()
    if process.returncode != 0:
        sys.exit(f"{tool.command}: {text}")
    return text, cpu, carried / (on_loopback()[0] - before)


# Seconds that a tool runs before and after its CPU time is measured.
MARGIN = 0.3
HELD_UP = "it was over before its time was counted"
# Headers of IPv4 and UDP.
HEADERS = 28


# Each tool: the command, and how to read the requests sent and answered and the tool's own figures from
# its output.


class Hello:
    processors, request, reply = (CLIENT,), SIZE, SIZE + 8

    def __init__(self, release, target, seconds, *words):
        self.seconds, self.port = seconds, int(target.split(":")[1])
        self.command = [release / "hello-load", "--json", "--size", SIZE, "--warm-up", 0]
        self.command += ["--duration", seconds, *words, target]

    def read(self, text):
        end = json.loads(text.splitlines()[-1])
        late = end["timer_error_ms"] or {}
        stated = {
            "cpu": end["generator"]["processor_time_per_request_us"],
            "late": {what: value * 1e3 for what, value in late.items()},
            "not sent": sum(end["not_sent"].values()),
        }
        return end["sent"], end["answered"], stated


class Sockperf:
    port, request, reply = 11111, SIZE, SIZE

    def __init__(self, mode, seconds, words, processors):
        self.seconds, self.processors, self.answers = seconds, processors, mode != "throughput"
        self.command = ["sockperf", mode, "-i", "127.0.0.1", "-p", self.port, "-m", SIZE]
        self.command += ["-t", seconds, "--buffer-size", BUFFER, *words]

    def read(self, text):
        if not self.answers:
            return int(re.search(r"Total of (\d+) messages sent", text)[1]), None, {"late": {}}
        total = re.search(r"\[Total Run\].*SentMessages=(\d+); ReceivedMessages=(\d+)", text)
        return int(total[1]), int(total[2]), {"late": {}}


class Dnsperf:
    processors, request, reply = (CLIENT,), 17, 17

    def __init__(self, query, target, seconds, *words):
        self.seconds, (host, self.port) = seconds, target.split(":")
        self.command = ["dnsperf", "-s", host, "-p", self.port, "-d", query, "-l", seconds]
        self.command += ["-b", BUFFER >> 10, "-t", 1, "-O", "suppress=timeouts", *words]
        self.port = int(self.port)

    def read(self, text):
        sent = int(re.search(r"Queries sent: *(\d+)", text)[1])
        answered = int(re.search(r"Queries completed: *(\d+)", text)[1])
        return sent, answered, {"late": {}}


if __name__ == "__main__":
    main()
