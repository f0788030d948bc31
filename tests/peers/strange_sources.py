"""Sends requests with impossible source addresses to a server that is bound to every address of its machine,
in a network namespace, over a wire.

Usage: strange_sources.py SERVER BACK_END. Prints the outcome of each source, and nothing for sources that the
system kept from the server.
"""
import json
import socket
import sys

from namespace import PORT, Server, ip, packet

HERE, EVERYBODY = "10.9.0.1", "255.255.255.255"

# Source address and port, and destination address.
STRANGE = {
    "port 0": ("10.9.0.7", 0, HERE),
    "0.0.0.0": ("0.0.0.0", 40001, HERE),
    "0.0.0.0, to everybody": ("0.0.0.0", 40001, EVERYBODY),
    "127.0.0.1": ("127.0.0.1", 40001, HERE),
    "its own": (HERE, PORT, HERE),
    "224.0.0.1": ("224.0.0.1", 40001, HERE),
    "240.0.0.1": ("240.0.0.1", 40001, HERE),
    "255.255.255.255": (EVERYBODY, 40001, HERE),
    "broadcast": ("10.9.0.255", 40001, HERE),
}
# A client that the system can reply to.
NOBODY = ("10.9.0.7", 40001, HERE)

ip("link", "set", "dev", "lo", "up")
ip("link", "add", "here", "type", "veth", "peer", "name", "there")
ip("link", "set", "dev", "there", "arp", "off", "up")
ip("address", "add", HERE + "/24", "broadcast", "+", "dev", "here")
ip("link", "set", "dev", "here", "up")
for device in ("all", "here"):
    # If this were on, the system would keep more of them from the server.
    with open(f"/proc/sys/net/ipv4/conf/{device}/rp_filter", "w") as reverse_path_filter:
        reverse_path_filter.write("0")
ip("neighbour", "add", NOBODY[0], "lladdr", "02:00:00:00:00:01", "dev", "here")

wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind(("there", 0))
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as other_end:
    other_end.bind(("here", 0))
    mac = other_end.getsockname()[4]


def send(source, port, to):
    to_mac = b"\xff" * 6 if to == EVERYBODY else mac
    wire.send(to_mac + b"\2\0\0\0\0\1" + b"\x08\0" + packet(source, port, to, b"Tracy"))


outcomes = {}
command = (sys.argv[1], "--json", "--max-lines", "10000", "--backend", sys.argv[2])
with Server(*command, "--bind", f"0.0.0.0:{PORT}") as server:
    for name, strange in STRANGE.items():
        send(*strange)
        send(*NOBODY)
        line = server.line()
        if line["source"] != "%s:%d" % NOBODY[:2]:
            outcomes[name] = line.get("reason", line["outcome"])
            line = server.line()
        assert (line["source"], line["outcome"]) == ("%s:%d" % NOBODY[:2], "answered"), line
    print(json.dumps(outcomes))
