"""Sends each hexadecimal line of standard input to a port, and prints the reply in hexadecimal.

A line that starts with "!" is sent without waiting for a reply.
"""
import socket
import sys

s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(20)
for line in sys.stdin:
    s.sendto(bytes.fromhex(line.strip().lstrip("!")), ("127.0.0.1", int(sys.argv[1])))
    if not line.startswith("!"):
        print(s.recv(65535).hex(), flush=True)
