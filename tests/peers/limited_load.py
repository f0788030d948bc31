"""Loads a server over a wire between two network namespaces, above its default limit, with that limit and
without it.

Usage: limited_load.py SERVER LOAD. Prints for both the server's first and last line, and the load
generator's summary.
"""
import json
import socket
import subprocess
import sys

from namespace import PORT, Machine, Server, wire

SERVER, LOAD = sys.argv[1:]
HERE, THERE = "10.9.0.100", "10.9.0.1"

other = Machine()
wire(other, [f"{HERE}/24"], [f"{THERE}/24"])
command = (*other.inside, SERVER, "--json", "--quiet", "--bind", f"{THERE}:{PORT}")
rate = ("--rate", "4000", "--duration", "2", "--warm-up", "0")
load = (LOAD, "--remote", *rate, "--json", f"{THERE}:{PORT}")


def greet():
    """Waits until both machines know each other's link addresses, which can take a second."""
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.settimeout(20)
    client.sendto(b"Tracy", (THERE, PORT))
    assert client.recv(64) == b"Hello, Tracy!"


results = []
for options in ((), ("--limit", "off")):
    # Room for everything, so that nothing else is lost, even if the server stalls.
    with Server(*command, "--receive-buffer", "16777216", *options) as server:
        greet()
        out = subprocess.run(load, stdout=subprocess.PIPE, check=True, timeout=60).stdout
        summary = json.loads(out.splitlines()[-1])
        started, ended = server.listening, server.summary()
    results.append({"started": started, "ended": ended, "load": summary})
other.end()
print(json.dumps(results))
