"""Sends each line of standard input, hexadecimal, to the port given, and prints the reply so.

A line that starts with "!" is sent without waiting for a reply to it.
"""
import socket
import sys

s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(20)
for line in sys.stdin:
    s.sendto(bytes.fromhex(line.strip().lstrip("!")), ("127.0.0.1", int(sys.argv[1])))
    if not line.startswith("!"):
        print(s.recv(65535).hex(), flush=True)
