#!/usr/bin/env python3
"""Compares hello-ping with irtt, sockperf and fping over the loopback of a network namespace.

Needs Linux, root (or unshare --map-root-user), two processors, cc, and the three programs:

    cargo build --release --package hello-cli
    sudo unshare --net crates/hello-cli/benches/ping_peers.py target/release [ROUNDS]

docs/performance.md explains the method and the results.
"""
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import peers

LOOPS = Path(__file__).resolve().parents[2] / "hello-net/benches/servers/peers"
# Probes per second, seconds of sending, and seconds of measured CPU time.
RATES = {100: (3, 1.8), 1000: (3, 1.5), 10_000: (2, 0.8)}
SCHEDULED = 1000
MOST_CAPTURED = 1 << 16
SIZE = 32
# Our server answers a queue in trains, and the kernel counts each train as one datagram. Its probes therefore
# cannot be counted from outside.
TRAINS = "hello-ping, own server"


def main():
    release, rounds = Path(sys.argv[1]).resolve(), int(sys.argv[2]) if len(sys.argv) > 2 else 11
    single = peers.build(peers.enter(), LOOPS / "single.c")
    loop = peers.start([single], peers.SERVER, stdout=subprocess.PIPE)
    commands = [
        [release / "hello-server", "--bind", "127.0.0.1:9999", "--quiet"],
        ["irtt", "server", "-b", "127.0.0.1:2112", "-i", "0"],
        ["sockperf", "server", "-i", "127.0.0.1", "-p", "11111"],
    ]
    servers = [loop, *(peers.start(command, peers.SERVER) for command in commands)]
    to_c = loop.stdout.readline().decode().strip()
    time.sleep(1)
    tools = {
        "hello-ping": lambda *run: hello(release, to_c, *run),
        TRAINS: lambda *run: hello(release, "127.0.0.1:9999", *run),
        "irtt": irtt,
        "sockperf under-load": lambda *run: sockperf("under-load", *run),
        "sockperf ping-pong": lambda *run: sockperf("ping-pong", *run),
        "fping": fping,
    }
    results = {}
    try:
        for tool in peers.turns(rounds, list(tools)):
            for rate, (seconds, counted) in RATES.items():
                command, median = tools[tool](rate, seconds)
                figures = measure(command, median, rate, counted)
                for what, value in figures.items():
                    if tool == TRAINS and what.startswith(("cpu", "rate")):
                        continue
                    results.setdefault((tool, what), []).append(value)
    finally:
        for server in servers:
            server.kill()
    peers.report(list(tools), results)


# Each tool: the command, and how to read the median round-trip time in microseconds from its output.


def hello(release, target, rate, seconds):
    command = [release / "hello-ping", "-q", "--json", "-s", SIZE, "-i", 1 / rate]
    command += ["--duration", seconds, target]
    return command, lambda text: json.loads(text.splitlines()[-1])["rtt_ms"]["p50"] * 1e3


def irtt(rate, seconds):
    command = ["irtt", "client", "-Q", "-o", "-", "-l", SIZE, "-i", f"{1e6 / rate:.0f}us"]
    command += ["-d", f"{seconds}s", "--wait=100ms", "--stats=none", "--tstamp=none", "127.0.0.1"]
    return command, lambda text: json.loads(text)["stats"]["rtt"]["median"] / 1e3


def sockperf(mode, rate, seconds):
    command = ["sockperf", mode, "-i", "127.0.0.1", "-p", 11111, "-m", SIZE, "-t", seconds]
    command += ["--mps", rate, "--full-rtt"]
    command += ["--reply-every", 1] if mode == "under-load" else []
    return command, lambda text: float(re.search(r"percentile 50\.000 = *([\d.]+)", text)[1])


def fping(rate, seconds):
    command = ["fping", "-q", "-b", SIZE, "-C", rate * seconds, "-p", 1e3 / rate, "-i", 0, "127.0.0.1"]
    rtts = lambda text: [float(rtt) for rtt in text.split(":")[1].split() if rtt != "-"]
    return command, lambda text: statistics.median(rtts(text)) * 1e3


def measure(command, median, rate, counted):
    """Runs a tool once, and returns its measurements."""
    capture = peers.Capture(MOST_CAPTURED) if rate == SCHEDULED else None
    before = sent()
    with tempfile.TemporaryFile() as out:
        process = peers.start(command, peers.CLIENT, stdout=out, stderr=out)
        # Its start is not counted.
        while sent() < before + rate // 10:
            time.sleep(0.05)
            if process.poll() is not None:
                out.seek(0)
                sys.exit(f"{command}: {out.read().decode()}")
        time.sleep(0.3)
        cpu, probes = peers.cpu(process), sent()
        time.sleep(counted)
        cpu, probes = peers.cpu(process) - cpu, sent() - probes
        held_up = process.poll() is not None
        process.wait()
        out.seek(0)
        text = out.read().decode()
    if held_up:
        # This program stalled, and the run ended early: repeat it.
        return measure(command, median, rate, counted)
    figures = {f"cpu {rate}": cpu / probes * 1e6, f"rate {rate}": probes / counted}
    figures[f"rtt {rate}"] = median(text)
    if capture:
        times, dropped = capture.read()
        if dropped:
            sys.exit(f"{command}: {dropped} datagrams were not captured")
        # The client is the one that sends to a server's port, or that sends ICMP echo requests. There are as many
        # replies or, in trains, fewer; requests are seen first.
        times.pop(("icmp", 0), None)
        figures |= peers.schedule(max(times.values(), key=len), 1 / rate)
    return figures


def sent():
    """Returns the number of probes sent since boot: each UDP datagram is answered by another."""
    tables = {}
    lines = Path("/proc/net/snmp").read_text().splitlines()
    for names, values in zip(lines[::2], lines[1::2]):
        tables[names.split()[0]] = dict(zip(names.split()[1:], values.split()[1:]))
    return int(tables["Udp:"]["OutDatagrams"]) // 2 + int(tables["Icmp:"]["OutEchos"])


if __name__ == "__main__":
    main()
