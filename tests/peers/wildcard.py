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
    client_socket = socket.socket(family, socket.SOCK_DGRAM)
    client_socket.settimeout(20)
    return client_socket, target


def exchange_with_each(addresses):
    """Sends requests from connected sockets, which accept replies only from the destination address."""
    clients = []
    for address in addresses:
        client_socket, target = client(address)
        client_socket.connect(target)
        clients.append(client_socket)
    rounds = -(-REPLIES // (BURST * len(clients)))
    for number in range(rounds):
        names = [b"%d of %d" % (one, number) for one in range(BURST)]
        for client_socket in clients:
            for name in names:
                client_socket.send(name)
        for client_socket in clients:
            for name in names:
                assert client_socket.recv(64) == b"Hello, %s!" % name
    return rounds * BURST * len(clients)


def exchange_all(addresses, then):
    """Sends requests to addresses that must not answer, then to one that must, whose reply is the first."""
    client_socket, target = client(then)
    client_socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    client_socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"there")
    for address in addresses:
        client_socket.sendto(b"everybody", (address, *target[1:]))
    client_socket.sendto(b"Tracy", target)
    reply, source = client_socket.recvfrom(64)
    assert (reply, source) == (b"Hello, Tracy!", target), (reply, source)
    client_socket.setblocking(False)
    try:
        raise AssertionError(client_socket.recvfrom(64))
    except BlockingIOError:
        pass


other = Machine()
there = [f"{own}/{64 if ':' in own else 24}" for own in OWN]
wire(other, ["10.9.0.100/24", "2001:db8::100/64"], there)

options = ("--bind", f"0.0.0.0:{PORT}", "--bind", f"[::]:{PORT}", "--limit", "off")
with Server(*other.inside, sys.argv[1], "--json", "--quiet", *options, "--backend", sys.argv[2]) as server:
    server.process.stdout.readline()
    greeted = exchange_with_each(OWN[:16]) + exchange_with_each(OWN[16:])
    greeted += exchange_with_each([LINK_LOCAL + "%there"] * 2)
    exchange_all(SHARED[0], OWN[0])
    exchange_all(SHARED[1], LINK_LOCAL + "%there")
    print(json.dumps({"greeted": greeted + 2} | without_zeros(server.summary())))
other.end()
