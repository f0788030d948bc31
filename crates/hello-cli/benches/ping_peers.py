#!/usr/bin/env python3
"""Compares hello-ping with irtt, sockperf and fping over the loopback of a network namespace.

Needs Linux, root (or unshare --map-root-user), two processors, cc, and the three programs:

    cargo build --release --package hello-cli
    sudo unshare --net crates/hello-cli/benches/ping_peers.py target/release [ROUNDS]

What is measured, and what it means: docs/performance.md.
"""
import json
import os
import re
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PEERS = Path(__file__).resolve().parents[2] / "hello-net/benches/servers/peers"
CLIENT, SERVER = 0, 1
# Probes a second, for how many seconds they are sent, and for how many of these time is counted.
RATES = {100: (3, 1.8), 1000: (3, 1.5), 10_000: (2, 0.8)}
SCHEDULED = 1000
SIZE = 32
# Our server answers a queue in trains, of which the kernel counts each as one datagram: so its
# probes cannot be counted from outside.
TRAINS = "hello-ping, own server"


def main():
    release, rounds = Path(sys.argv[1]).resolve(), int(sys.argv[2]) if len(sys.argv) > 2 else 11
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    single = Path(tempfile.mkdtemp()) / "single"
    subprocess.run(["cc", "-O2", "-o", single, PEERS / "single.c"], check=True)
    servers = [
        start([release / "hello-server", "--bind", "127.0.0.1:9999", "--quiet"]),
        start([single], stdout=subprocess.PIPE),
        start(["irtt", "server", "-b", "127.0.0.1:2112", "-i", "0"]),
        start(["sockperf", "server", "-i", "127.0.0.1", "-p", "11111"]),
    ]
    to_c = servers[1].stdout.readline().decode().strip()
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
        for number in range(rounds):
            # There and back again.
            order = list(tools) if number % 2 == 0 else list(reversed(tools))
            for tool in order:
                for rate, (seconds, counted) in RATES.items():
                    command, median = tools[tool](rate, seconds)
                    figures = measure(command, median, rate, counted)
                    for what, value in figures.items():
                        if tool == TRAINS and what.startswith(("cpu", "rate")):
                            continue
                        results.setdefault((tool, what), []).append(value)
            print(f"round {number + 1} of {rounds}", file=sys.stderr)
    finally:
        for server in servers:
            server.kill()
    report(list(tools), results)


def start(command, **more):
    more = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **more}
    return subprocess.Popen(command, preexec_fn=lambda: own(SERVER), **more)


def own(processor):
    """Puts a process on a processor, before all others that want it."""
    os.sched_setaffinity(0, {processor})
    os.nice(-20)


# Each tool: what to run, and how to read the median round-trip time in microseconds from it.


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
    """Runs a tool once, and returns what was measured."""
    capture = Capture() if rate == SCHEDULED else None
    before = sent()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdout=out,
            stderr=out,
            preexec_fn=lambda: own(CLIENT),
        )
        # Its start is not counted.
        while sent() < before + rate // 10:
            time.sleep(0.05)
            if process.poll() is not None:
                out.seek(0)
                sys.exit(f"{command}: {out.read().decode()}")
        time.sleep(0.3)
        clock = (~process.pid << 3) | 2
        cpu, probes = time.clock_gettime(clock), sent()
        time.sleep(counted)
        cpu, probes = time.clock_gettime(clock) - cpu, sent() - probes
        held_up = process.poll() is not None
        process.wait()
        out.seek(0)
        text = out.read().decode()
    if held_up:
        # This program was, and the run is over before its time: it is done again.
        return measure(command, median, rate, counted)
    figures = {f"cpu {rate}": cpu / probes * 1e6, f"rate {rate}": probes / counted}
    figures[f"rtt {rate}"] = median(text)
    if capture:
        figures |= capture.errors(1 / rate)
    return figures


def sent():
    """Returns how many probes were sent, ever: each UDP datagram is answered by another."""
    tables = {}
    lines = Path("/proc/net/snmp").read_text().splitlines()
    for names, values in zip(lines[::2], lines[1::2]):
        tables[names.split()[0]] = dict(zip(names.split()[1:], values.split()[1:]))
    return int(tables["Udp:"]["OutDatagrams"]) // 2 + int(tables["Icmp:"]["OutEchos"])


class Capture:
    """What leaves by the loopback, with the kernel's timestamps. It is read when all is over, so
    that it wakes nobody meanwhile."""

    SO_TIMESTAMPNS, PACKET_OUTGOING, ETH_P_ALL, SO_RCVBUFFORCE = 35, 4, 3, 33

    def __init__(self):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, self.SO_RCVBUFFORCE, 64 << 20)
        self.socket.setsockopt(socket.SOL_SOCKET, self.SO_TIMESTAMPNS, 1)
        self.socket.bind(("lo", self.ETH_P_ALL))

    def errors(self, interval):
        """Returns how far probes were from an even schedule, in microseconds."""
        times = {}
        self.socket.setblocking(False)
        while True:
            try:
                frame, control, _, address = self.socket.recvmsg(256, 256)
            except BlockingIOError:
                break
            if address[2] != self.PACKET_OUTGOING:
                continue
            ip = frame[14:]
            # The client is who sends to a server's port; of ICMP, who sends echo requests.
            way = ("icmp", ip[20]) if ip[9] == 1 else struct.unpack("!HH", ip[20:24])
            if ip[9] not in (1, 17) or way == ("icmp", 0):
                continue
            seconds, nanos = struct.unpack("qq", control[0][2])
            times.setdefault(way, []).append(seconds * 1_000_000_000 + nanos)
        self.socket.close()
        # Replies are as many or, in trains, fewer; requests are seen first.
        times = max(times.values(), key=len)
        times = [(time - times[0]) / 1e3 for time in times]
        # Without what opens and ends a run.
        times = times[len(times) // 10 : -len(times) // 10]
        interval *= 1e6
        gaps = [abs(after - before - interval) for before, after in zip(times, times[1:])]
        offsets = [time - times[0] - number * interval for number, time in enumerate(times)]
        late = [offset - min(offsets) for offset in offsets]
        drift = (times[-1] - times[0]) / (len(times) - 1) / interval - 1
        return {
            "gap p50": percentile(gaps, 50),
            "gap p99": percentile(gaps, 99),
            "late p50": percentile(late, 50),
            "late p99": percentile(late, 99),
            "drift ppm": drift * 1e6,
        }


def percentile(values, percent):
    values = sorted(values)
    return values[((len(values) - 1) * percent + 50) // 100]


def report(tools, results):
    """Prints medians with the 10th and 90th percentiles, and ratios to the first tool by round."""
    whats = list(dict.fromkeys(what for _, what in results))
    for what in whats:
        print(f"\n{what}")
        for tool in (tool for tool in tools if (tool, what) in results):
            values = results[tool, what]
            ratios = [own / value for own, value in zip(results[tools[0], what], values) if value]
            low, middle, high = (percentile(values, percent) for percent in (10, 50, 90))
            text = f"  {tool:22} {middle:10.2f} ({low:.2f}-{high:.2f})"
            if ratios:
                low, middle, high = (percentile(ratios, percent) for percent in (10, 50, 90))
                text += f"   hello-ping/this {middle:.3f} ({low:.3f}-{high:.3f})"
            print(text)


if __name__ == "__main__":
    main()
