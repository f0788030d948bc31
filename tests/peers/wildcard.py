"""Sends requests to a server that is bound to every address of its machine, over a wire between two network
namespaces: to each of its own addresses, and to broadcast addresses and multicast groups, which must not be
answered.

Usage: wildcard.py SERVER BACK_END. Prints the server's summary, and the number of expected greetings.
"""
import json
import socket
import sys

from namespace import PORT, Machine, Server, wire, without_zeros

OWN = [f"10.9.0.{host}" for host in range(1, 17)] + [f"2001:db8::{host:x}" for host in range(1, 17)]
LINK_LOCAL = "fe80::1"
SHARED = ["10.9.0.255", "255.255.255.255", "224.0.0.1"], ["ff02::1"]
BURST = 8
# For each family.
REPLIES = 100_000 if sys.argv[2] == "native" else 10_000

def client(address):
    family, _, _, _, target = socket.getaddrinfo(address, PORT, type=socket.SOCK_DGRAM)[0]
    asking = socket.socket(family, socket.SOCK_DGRAM)
    asking.settimeout(20)
    return asking, target


def ask_at_each(addresses):
    """Sends requests from connected sockets, which accept replies only from the destination address."""
    clients = []
    for address in addresses:
        asking, target = client(address)
        asking.connect(target)
        clients.append(asking)
    rounds = -(-REPLIES // (BURST * len(clients)))
    for number in range(rounds):
        names = [b"%d of %d" % (one, number) for one in range(BURST)]
        for asking in clients:
            for name in names:
                asking.send(name)
        for asking in clients:
            for name in names:
                assert asking.recv(64) == b"Hello, %s!" % name
    return rounds * BURST * len(clients)


def ask_all(addresses, then):
    """Sends requests to addresses that must not answer, then to one that must, whose reply is the first."""
    asking, target = client(then)
    asking.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    asking.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"there")
    for address in addresses:
        asking.sendto(b"everybody", (address, *target[1:]))
    asking.sendto(b"Tracy", target)
    reply, source = asking.recvfrom(64)
    assert (reply, source) == (b"Hello, Tracy!", target), (reply, source)
    asking.setblocking(False)
    try:
        raise AssertionError(asking.recvfrom(64))
    except BlockingIOError:
        pass


other = Machine()
there = [f"{own}/{64 if ':' in own else 24}" for own in OWN]
wire(other, ["10.9.0.100/24", "2001:db8::100/64"], there)

options = ("--bind", f"0.0.0.0:{PORT}", "--bind", f"[::]:{PORT}", "--limit", "off")
with Server(*other.inside, sys.argv[1], "--json", "--quiet", *options, "--backend", sys.argv[2]) as server:
    server.process.stdout.readline()
    greeted = ask_at_each(OWN[:16]) + ask_at_each(OWN[16:])
    greeted += ask_at_each([LINK_LOCAL + "%there"] * 2)
    ask_all(SHARED[0], OWN[0])
    ask_all(SHARED[1], LINK_LOCAL + "%there")
    print(json.dumps({"greeted": greeted + 2} | without_zeros(server.summary())))
other.end()
