"""Sends probes over a link that goes down and comes back, and compares each loss, its cause and the outages with the
packets that leave and enter this machine.

Usage: flapping_link.py SERVER PING. Prints, by IP version and by the end of the link, what hello-ping reports, and
what the packets show.
"""
import json
import re
import signal
import socket
import struct
import subprocess
import sys
from collections import Counter
from itertools import groupby

from lab import line

_, SERVER, PING = sys.argv
# The number of replies before and after, and of losses between them.
SOME = 20
TIMEOUT = 0.5
# IP version: the protocol's number in link headers, the length of the IP header, the place of the protocol in it, and
# those of ICMP.
PACKETS = {4: (0x0800, 20, 9, socket.IPPROTO_ICMP), 6: (0x86DD, 40, 6, socket.IPPROTO_ICMPV6)}
# By ICMP type and code.
CAUSES = {
    4: {(3, 0): "network-unreachable", (3, 1): "host-unreachable"},
    6: {(1, 0): "network-unreachable", (1, 3): "host-unreachable"},
}
# All protocols of a packet socket (packet(7)), and its options.
ETH_P_ALL, SO_RCVBUFFORCE, SO_TIMESTAMPNS = 3, 33, 35


class Tap:
    """Takes the packets of this machine's link."""

    def __init__(self, version):
        self.version = version
        # Only a socket for all protocols has the packets that leave.
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        self.sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
        self.sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.sock.bind(("A", ETH_P_ALL))
        self.sock.setblocking(False)

    def truth(self, in_flight):
        """Returns the losses in the order of sending, each with its cause, without the probes in flight at the end."""
        ethernet, header, place, icmp = PACKETS[self.version]
        sent, answered, causes = {}, set(), {}
        while True:
            try:
                data, ((_, _, stamp), *_), _, address = self.sock.recvmsg(65536, 64)
            except BlockingIOError:
                break
            payload, (seconds, nanoseconds) = data[header + 8 :], struct.unpack("qq", stamp)
            at = seconds + nanoseconds / 1e9
            if address[1] != ethernet:
                continue
            if data[place] == socket.IPPROTO_UDP and address[2] == socket.PACKET_OUTGOING:
                sent[payload] = at
            elif data[place] == socket.IPPROTO_UDP:
                # The server may send several replies as one packet (UDP_SEGMENT, udp(7)).
                names = re.findall(rb"Hello, (.{16})!", payload, re.DOTALL)
                answered.update(name for name in names if at - sent[name] < TIMEOUT)
            elif data[place] == icmp and (kind := CAUSES[self.version].get(tuple(data[header : header + 2]))):
                family, part = (socket.AF_INET, slice(12, 16)) if self.version == 4 else (socket.AF_INET6, slice(8, 24))
                causes[payload[header + 8 :]] = f"{kind} {socket.inet_ntop(family, data[part])}"
        lost = [(seq, name) for seq, name in enumerate(sent, 1) if name not in answered and seq not in in_flight]
        return {seq: causes.get(name, "silent") for seq, name in lost}


def runs(lost):
    """Returns the first of consecutive losses, and their number, for each run of several, the longest first."""
    groups = (list(group) for _, group in groupby(enumerate(lost), lambda one: one[1] - one[0]))
    outages = [[group[0][1], len(group)] for group in groups if len(group) > 1]
    return sorted(outages, key=lambda one: -one[1])


def flap(lab, version, near, far):
    """Pings while a machine's end of a link goes down, and comes back. Returns what is compared."""
    tap = Tap(version)
    command = (PING, "--json", "-i", "10ms", "-W", str(TIMEOUT), lab.target(version))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    lines = []

    def wait_for(event):
        found = 0
        while found < SOME:
            lines.append(json.loads(process.stdout.readline()))
            found += lines[-1]["event"] == event

    wait_for("reply")
    lab.down(near, far)
    wait_for("lost")
    lab.up(near, far)
    wait_for("reply")
    process.send_signal(signal.SIGINT)
    lines += [json.loads(text) for text in process.stdout]
    process.wait(timeout=20)
    summary = lines[-1]
    settled = {line["seq"] for line in lines if line["event"] in ("reply", "lost")}
    in_flight = set(range(1, summary["sent"] + 1)) - settled
    assert len(in_flight) == summary["in_flight"], (in_flight, summary)
    truth = tap.truth(in_flight)
    lost = [line["seq"] for line in lines if line["event"] == "lost"]
    causes = {
        f"{one['cause']} {one['reporter'] or ''}".strip(): one["lost"] for one in summary["lost_causes"]
    }
    outages, periods = summary["outages"], runs(truth)
    scattered = len(truth) - sum(count for _, count in periods)
    longest = [[one["first_seq"], one["probes"]] for one in outages["longest"]]
    return {
        "reported": [lost, causes, outages["count"], longest, outages["scattered"], summary["not_sent"]],
        "true": [list(truth), Counter(truth.values()), len(periods), periods, scattered, {}],
        "is long": periods[0][1] >= SOME,
        "over": not any(one["ongoing"] for one in outages["longest"]),
    }


with line("A") as lab, lab.serve(SERVER, "--limit", "off"):
    results = {
        version: {near: flap(lab, version, near, far) for near, far in (("A", "server"), ("server", "A"))}
        for version in (4, 6)
    }
print(json.dumps(results))
