"""Repeatedly forges every ICMP error that Linux passes to a socket, about the datagrams of each tool, in a
network namespace, while a server answers each datagram.

No report is a reason to stop or to wait, because anyone can forge one. Usage: icmp_errors.py SERVER. Prints,
by tool and address family, the tool's last JSON line and its status.
"""
import itertools
import json
import os
import select
import socket
import struct
import subprocess
import sys

from namespace import PORT, Attack, checksum, ip, ip_checksum, ip_packet, packet, spoofer

# Types and codes (icmp_err_convert and icmpv6_err_convert in the kernel's source).
ERRORS = {
    "127.0.0.1": [(3, code) for code in range(16)] + [(12, 0)],
    "::1": [(1, code) for code in range(7)] + [(2, 0)] + [(4, code) for code in range(3)],
}
TOOLS = {
    "hello-ping": ("--json", "-q", "-c", "60", "-i", "2ms", "-W", "5s"),
    "hello-load": ("--json", "--rate", "500", "-c", "60", "-W", "5s"),
    "hello-client": ("--json", "--attempts", "1", "--timeout", "20s", "Tracy"),
}
INTERVAL = 0.0005


def error(server, client, port, kind, code):
    """Returns an ICMP error about a request that `client` sent from a port."""
    quoted = packet(client, port, server, b"x" * 16)
    # The next hop's MTU, in both families; it also serves as the pointer of a parameter problem.
    rest = struct.pack("!I", 1280)
    if ":" in server:
        body = struct.pack("!BBH", kind, code, 0) + rest + quoted
        total = ip_checksum(server, client, socket.IPPROTO_ICMPV6, body)
        return ip_packet(server, client, socket.IPPROTO_ICMPV6, body[:2] + struct.pack("!H", total) + body[4:])
    body = struct.pack("!BBH", kind, code, 0) + rest + quoted
    body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
    return ip_packet(server, client, socket.IPPROTO_ICMP, body)


ip("link", "set", "dev", "lo", "up")
results = []
for address, errors in ERRORS.items():
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = socket.socket(family, socket.SOCK_DGRAM)
    server.bind((address, PORT))
    wire = spoofer(address)
    target = f"[{address}]:{PORT}" if ":" in address else f"{address}:{PORT}"
    for (kind, code), (tool, arguments) in itertools.product(errors, TOOLS.items()):
        command = [os.path.join(os.path.dirname(sys.argv[1]), tool), *arguments]
        command += ["--server", target] if tool == "hello-client" else [target]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        storm = None
        while process.poll() is None:
            if not select.select([server], [], [], 0.01)[0]:
                assert storm is None or storm.is_alive(), f"{tool} does not end"
                continue
            name, client = server.recvfrom(2048)
            if storm is None:
                forged = error(address, address, client[1], kind, code)
                storm = Attack(lambda forged=forged: wire.sendto(forged, (address, 0)), INTERVAL)
            server.sendto(b"Hello, " + name + b"!", client)
        case = f"{tool}, {address}, type {kind}, code {code}"
        ended = storm.stop()
        last = json.loads(process.stdout.readlines()[-1])
        status = process.returncode
        results.append({"case": case, "tool": tool, "status": status, "ended": ended, "last": last})
    server.close()
print(json.dumps(results))
