"""Tries to silence a server: sends requests with the addresses of absent neighbours, whose replies wait for
address resolution, while a bystander behind a router sends requests too.

Usage: silencing.py SERVER USER FAMILY NETWORKS RATE SECONDS [OPTION...]

USER is root, nobody, or unit; a unit's server inherits its socket as from the socket unit. FAMILY is 4 or 6.
NETWORKS is the number of /24s or /64s that contain the 200 neighbours. RATE is in requests of 1000 bytes per
second. Prints how many requests the bystander sent, how many were answered, and the server's summary.
"""
import json
import socket
import sys
import time

from namespace import FAR_MAC, NEAR_MAC, PORT, Machine, Server, ip, packet, wire, without_zeros

SERVER, USER, FAMILY, NETWORKS, RATE, SECONDS, *OPTIONS = sys.argv[1:]
NETWORKS, RATE, SECONDS = int(NETWORKS), int(RATE), float(SECONDS)
NAME = b"x" * 1000
# The bystander's interval, in seconds.
INTERVAL = 0.01
# The server, the router, the bystander and the absent neighbours.
HERE, ROUTER, BYSTANDER, ABSENT = {
    "4": ("10.9.0.1", "10.9.0.2", "192.0.2.7", "10.9.{}.{}"),
    "6": ("2001:db8::1", "2001:db8::2", "2001:db8:1::7", "2001:db8:0:{:x}::{:x}"),
}[FAMILY]
LINK, ALONE = {"4": ("/16", "/32"), "6": ("/48", "/128")}[FAMILY]

machine = Machine()
near, _ = wire(machine, [ROUTER + LINK], [HERE + LINK])
ip("link", "set", "dev", "lo", "up")
ip("address", "add", BYSTANDER + ALONE, "dev", "lo", *(("nodad",) if FAMILY == "6" else ()))
machine.ip(f"-{FAMILY}", "route", "add", BYSTANDER + ALONE, "via", ROUTER)

link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
link.bind((near, 0))
kind = {"4": b"\x08\x00", "6": b"\x86\xdd"}[FAMILY]
absent = [ABSENT.format(1 + host % NETWORKS, 7 + host // NETWORKS) for host in range(200)]
frames = [FAR_MAC + NEAR_MAC + kind + packet(host, 40001, HERE, NAME) for host in absent]
family = socket.AF_INET6 if FAMILY == "6" else socket.AF_INET
bystander = socket.socket(family, socket.SOCK_DGRAM)
bystander.bind((BYSTANDER, 0))
bystander.setblocking(False)
bind = f"[{HERE}]:{PORT}" if FAMILY == "6" else f"{HERE}:{PORT}"

# Opens a socket at an address, with SO_SNDBUFFORCE and SO_RCVBUFFORCE, and executes a command.
PASS_SOCKET = """
import os, socket, sys
family, address, send, receive, *command = sys.argv[1:]
kept = socket.socket(socket.AF_INET6 if family == "6" else socket.AF_INET, socket.SOCK_DGRAM)
kept.setsockopt(socket.SOL_SOCKET, 32, int(send))
kept.setsockopt(socket.SOL_SOCKET, 33, int(receive))
kept.bind((address, 9999))
os.dup2(kept.fileno(), 3)
os.set_inheritable(3, True)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.execv(command[0], command)
"""
# SendBuffer= and ReceiveBuffer= of deploy/systemd/hello-server.socket.
UNIT = ("python3", "-c", PASS_SOCKET, FAMILY, HERE, str(64 << 20), str(4 << 20))
nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
front = {"root": (), "nobody": nobody, "unit": UNIT}[USER]
address = () if USER == "unit" else ("--bind", bind)
with Server(*machine.inside, *front, SERVER, "--json", "--quiet", *OPTIONS, *address) as server:
    answered = set()

    def collect():
        try:
            while True:
                answered.add(bystander.recv(64))
        except BlockingIOError:
            pass

    # Resolves both addresses before the measurement.
    while not answered:
        bystander.sendto(b"Tracy", (HERE, PORT))
        time.sleep(INTERVAL)
        collect()
    answered.clear()
    start, sent, requested = time.monotonic(), 0, 0
    while (now := time.monotonic() - start) < SECONDS:
        while sent < min(now * RATE, RATE * SECONDS):
            link.send(frames[sent % len(frames)])
            sent += 1
        if requested < now / INTERVAL:
            bystander.sendto(b"%d" % requested, (HERE, PORT))
            requested += 1
        collect()
        time.sleep(0.001)
    end = time.monotonic() + 20
    last = b"Hello, last!"
    while last not in answered and time.monotonic() < end:
        bystander.sendto(b"last", (HERE, PORT))
        time.sleep(INTERVAL)
        collect()
    answered &= {b"Hello, %d!" % number for number in range(requested)}
    result = {"sent": sent, "requested": requested, "answered": len(answered), "listening": server.listening}
    print(json.dumps(result | {"summary": without_zeros(server.summary())}))
machine.end()
