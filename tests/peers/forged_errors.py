"""Shows what the tools make of ICMP errors whose quotes are cut, padded or wrong, and of errors about probes that are
answered.

Usage: forged_errors.py SERVER CLIENT LOAD PING. Prints what was counted in each case, by IP version.

The server is this script, which sends the errors in the name of a router that does not exist.
"""
import json
import socket
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from lab import Lab
from namespace import checksum, ip_checksum, ip_packet, packet

_, _, CLIENT, LOAD, PING = sys.argv
PROBES = 3
ROUTERS = {4: "10.80.1.9", 6: "fd80:1::9"}
IP_HEADERS = {4: 20, 6: 40}
# What RFC 792 has every router quote at least, which holds the ports.
SHORTEST = 8
# Host unreachable: type and code.
ERRORS = {4: (3, 1), 6: (1, 3)}


class Peer:
    """The server of one case, which replies only if the case does."""

    def __init__(self, lab, version):
        self.version, self.client, self.address = version, lab["client"].address(version), lab.target(version)
        family = socket.AF_INET6 if version == 6 else socket.AF_INET
        self.sock = lab["server"].socket(family, socket.SOCK_DGRAM)
        self.sock.bind((self.address, 0))
        self.sock.settimeout(20)
        self.replies = 0
        self.raw = lab["server"].socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self.port = self.sock.getsockname()[1]
        self.target = f"[{self.address}]:{self.port}" if version == 6 else f"{self.address}:{self.port}"

    def receive(self):
        """Returns the next name and its source port."""
        name, source = self.sock.recvfrom(65536)
        return name, source[1]

    def reply(self, name, port):
        self.sock.sendto(b"Hello, " + name + b"!", (self.client, port))

    def error(self, name, port, quoted=65536, padding=0):
        """Reports a datagram with a name to its sender. Quotes only some bytes of it, from its UDP header on."""
        datagram = packet(self.client, port, self.address, name, to_port=self.port)
        quote = datagram[: IP_HEADERS[self.version] + quoted] + b"\0" * padding
        body = struct.pack("!BBHI", *ERRORS[self.version], 0, 0) + quote
        router, protocol = ROUTERS[self.version], socket.IPPROTO_ICMP
        total = checksum(body)
        if self.version == 6:
            protocol = socket.IPPROTO_ICMPV6
            total = ip_checksum(router, self.client, protocol, body)
        body = body[:2] + struct.pack("!H", total) + body[4:]
        self.raw.sendto(ip_packet(router, self.client, protocol, body), (self.client, 0))


def before_the_reply(peer, name, port):
    peer.error(name, port)
    peer.reply(name, port)


def after_the_reply(peer, name, port):
    """Does nothing about the last probe, because the run would end with its reply."""
    peer.replies += 1
    if peer.replies < PROBES:
        peer.reply(name, port)
        peer.error(name, port)


def cut(quoted, padding=0):
    return lambda peer, name, port: peer.error(name, port, quoted=quoted, padding=padding)


def about(change):
    """Reports another name than the one that was sent."""
    return lambda peer, name, port: peer.error(change(name), port)


def with_digit(place, digit):
    """Returns a function that changes a digit of a token in each of its two places."""
    return lambda name: b"".join(name[at : at + place] + digit + name[at + place + 1 : at + 8] for at in (0, 8))


def other_port(peer, name, port):
    peer.error(name, port ^ 1)


# One probe after the other, or all of them at once.
ALONE = ("-i", "1s", "-W", "900ms")
TOGETHER = ("-i", "10ms", "-W", "1500ms")
# For each case: what the server does with a name, whether it does so only when all have arrived, and options.
CASES = {
    "error before the reply": (before_the_reply, False, TOGETHER),
    "error after the reply": (after_the_reply, False, TOGETHER),
    "whole": (cut(65536), True, TOGETHER),
    "cut after the token": (cut(SHORTEST + 8), True, TOGETHER),
    "cut in the second half": (cut(SHORTEST + 13), True, TOGETHER),
    "padded": (cut(65536, padding=100), True, TOGETHER),
    "8 bytes, one in flight": (cut(SHORTEST), False, ALONE),
    "15 bytes, one in flight": (cut(SHORTEST + 7), False, ALONE),
    "8 bytes, several in flight": (cut(SHORTEST), True, TOGETHER),
    "8 bytes, a port each": (cut(SHORTEST), True, (*TOGETHER, "--flows", str(PROBES))),
    "another run": (about(with_digit(0, b"!")), True, TOGETHER),
    "never sent": (about(with_digit(7, b"_")), True, TOGETHER),
    "half known": (about(lambda name: name[:8] + b"AAAAAAAA"), True, TOGETHER),
    "another port": (other_port, True, TOGETHER),
}


def serve(peer, act, at_the_end):
    """Acts on each request: when it arrives, or when all have."""
    arrived = []
    for _ in range(PROBES):
        arrived.append(peer.receive())
        if not at_the_end:
            act(peer, *arrived.pop())
    for one in arrived:
        act(peer, *one)


def start(*command):
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def finish(process):
    """Returns the lines of a tool."""
    out, _ = process.communicate(timeout=60)
    return [json.loads(text) for text in out.splitlines()]


def counts(summary):
    """Returns the numbers of answers, of losses by cause and reporter, of errors, and of those unattributed."""
    lost = [[one["cause"], one["reporter"], one["lost"]] for one in summary["lost_causes"]]
    return [summary["answered"], lost, summary["errors"], summary["unattributed"]]


def ping(lab, version, act, at_the_end, options):
    peer = Peer(lab, version)
    process = start(PING, "--json", "-c", str(PROBES), *options, peer.target)
    serve(peer, act, at_the_end)
    lines = finish(process)
    # Those of several ports are received in any order.
    errors = [one["seq"] for one in lines if one["event"] == "error"]
    return [*counts(lines[-1]), sorted(errors, key=str)]


def load(lab, version):
    """Sends a load whose requests are reported and answered."""
    peer = Peer(lab, version)
    process = start(LOAD, "--json", "--remote", "-c", str(PROBES), "--outstanding", "1", "-W", "5s", peer.target)
    serve(peer, before_the_reply, False)
    return counts(finish(process)[-1])


def client(lab, version, change):
    """Sends a name that is reported, with the name or another one in the quote, and answered. Returns the lines."""
    peer = Peer(lab, version)
    command = (CLIENT, "--json", "--server", peer.target, "--attempts", "1", "--timeout", "20s", "Tracy")
    process = start(*command)
    name, port = peer.receive()
    peer.error(change(name), port)
    peer.reply(name, port)
    return [line["event"] for line in finish(process)]


results = {4: {}, 6: {}}
with Lab(("client", "server")) as lab, ThreadPoolExecutor(16) as pool:
    for version, seen in results.items():
        for case, how in CASES.items():
            seen[case] = pool.submit(ping, lab, version, *how)
        seen["load"] = pool.submit(load, lab, version)
        seen["client"] = pool.submit(client, lab, version, lambda name: name)
        seen["client, another name"] = pool.submit(client, lab, version, lambda name: b"Alice")
    results = {version: {case: one.result() for case, one in seen.items()} for version, seen in results.items()}
print(json.dumps(results))
