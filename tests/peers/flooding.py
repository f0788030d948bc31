"""Floods each tool from its server's address with datagrams that are no replies, faster than it can receive
them, in a network namespace. Each tool has to end in time while the flood continues.

Usage: flooding.py SERVER. Prints for each tool its last line, its exit status, and whether it ended during
the flood.
"""
import json
import os
import socket
import subprocess
import sys

from namespace import PORT, Attack, ip

HERE = "127.0.0.1"
SOL_UDP, UDP_SEGMENT = 17, 103
TOOLS = {
    "hello-client": ("--json", "--attempts", "1", "--timeout", "300ms", "--server", HERE, "Tracy"),
    "hello-ping": ("--json", "-c", "3", "-i", "50ms", "-W", "300ms", HERE),
    "hello-load": ("--json", "--duration", "300ms", "--warm-up", "0", "-W", "300ms", HERE),
}

ip("link", "set", "dev", "lo", "up")
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.setsockopt(SOL_UDP, UDP_SEGMENT, 1)
server.bind((HERE, PORT))
seen = {}
for tool, arguments in TOOLS.items():
    command = (os.path.join(os.path.dirname(sys.argv[1]), tool), *arguments)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    _, peer = server.recvfrom(2048)

    def trains():
        """Sends 6400 datagrams of one byte."""
        for _ in range(100):
            try:
                server.sendto(b"x" * 64, peer)
            except ConnectionRefusedError:
                pass

    floods = [Attack(trains, 0) for _ in range(2)]
    out, _ = process.communicate(timeout=Attack.LONGEST + 10)
    ended = [flood.stop() for flood in floods]
    lines = out.splitlines() or [b"null"]
    seen[tool] = {"last": json.loads(lines[-1]), "status": process.returncode, "ended": all(ended)}
    server.setblocking(False)
    try:
        while True:
            try:
                server.recvfrom(2048)
            except ConnectionRefusedError:
                pass
    except BlockingIOError:
        server.setblocking(True)
print(json.dumps(seen))
