"""Sends a server requests at addresses of local prefixes (AnyIP), in a network namespace.

Usage: any_ip.py SERVER BACK_END. Prints the source address of each reply by the request's destination.
"""
import json
import socket
import sys

from namespace import PORT, Server, ip

ASKED = ("192.0.2.77", "2001:db8:5::1234", "2001:db8:5:0:ffff::1")

ip("link", "set", "dev", "lo", "up")
ip("route", "add", "local", "192.0.2.0/24", "dev", "lo")
ip("-6", "route", "add", "local", "2001:db8:5::/64", "dev", "lo")
binds = (f"--bind=0.0.0.0:{PORT}", f"--bind=[::]:{PORT}")
command = (sys.argv[1], "--json", "--quiet", "--backend", sys.argv[2])
answered = {}
with Server(*command, *binds):
    for address in ASKED:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as client:
            client.settimeout(20)
            client.sendto(b"Tracy", (address, PORT))
            reply, source = client.recvfrom(64)
            assert reply == b"Hello, Tracy!", reply
            answered[address] = source[0]
print(json.dumps(answered))
