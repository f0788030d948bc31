"""Queues batches at a server, in a network namespace. Each has a request whose reply cannot be sent, at every
position of the batch. Every other request must be answered.

Usage: poisoned_batches.py SERVER BACK_END. Prints the server's summary, and the number of requests.
"""
import json
import socket
import sys

from namespace import PORT, Server, ip, packet, without_zeros

HERE = "127.0.0.1"
BATCH = 8
LONG = b"x" * 1000

# The client, its port, the name, and the outcome of the reply.
POISONS = {
    "port 0": ((HERE, 0, b"Tracy"), "source-port-zero"),
    "everybody": (("255.255.255.255", 40001, b"Tracy"), "source-broadcast"),
    "broadcast": (("127.255.255.255", 40001, b"Tracy"), "denied"),
    "no route": (("203.0.113.1", 40001, b"Tracy"), "unreachable"),
    "blackhole": (("198.51.100.1", 40001, b"Tracy"), "invalid"),
    "prohibit": (("198.51.100.2", 40001, b"Tracy"), "denied"),
    "unreachable": (("198.51.100.3", 40001, b"Tracy"), "unreachable"),
    "too long": ((HERE, 40001, LONG), "too-long"),
}

ip("link", "set", "dev", "lo", "up")
ip("route", "add", "blackhole", "198.51.100.1")
ip("route", "add", "prohibit", "198.51.100.2")
ip("route", "add", "unreachable", "198.51.100.3")

wire = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(BATCH)]
for client in clients:
    client.settimeout(20)
# A client that can send from an address to which no reply can be sent.
good = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
good.bind((HERE, 40001))
good.settimeout(20)


def poison(request):
    source, port, name = request
    wire.sendto(packet(source, port, HERE, name), (HERE, 0))


def greeted(client, name):
    reply, source = client.recvfrom(2048)
    assert (reply, source) == (b"Hello, %s!" % name, (HERE, PORT)), (reply, source)


sent, expected = 0, {}
command = (sys.argv[1], "--json", "--quiet", "--bind", f"{HERE}:{PORT}", "--backend", sys.argv[2])
with Server(*command) as server:
    # The server receives a datagram of 1000 bytes, and a reply of 1008 does not fit.
    ip("link", "set", "dev", "lo", "mtu", str(20 + 8 + len(LONG)))
    for request, outcome in POISONS.values():
        for position in range(BATCH):
            server.stop()
            for number, client in enumerate(clients):
                if number == position:
                    poison(request)
                else:
                    client.sendto(b"%d at %d" % (number, position), (HERE, PORT))
            sent += BATCH
            server.resume()
            for number, client in enumerate(clients):
                if number != position:
                    greeted(client, b"%d at %d" % (number, position))
            expected[outcome] = expected.get(outcome, 0) + 1

    # Several from one source, whose replies would leave as one message.
    server.stop()
    for _ in range(BATCH):
        poison(POISONS["blackhole"][0])
    for name in (b"first", LONG, b"second", LONG, b"third"):
        good.sendto(name, (HERE, PORT))
    sent += BATCH + 5
    expected["invalid"] += BATCH
    expected["too-long"] += 2
    server.resume()
    for name in (b"first", b"second", b"third"):
        greeted(good, name)
    summary = server.summary()

# If a server's replies may exceed the MTU of any path, it lets them be fragmented.
with Server(*command, "--max-name", "2000"):
    good.sendto(LONG, (HERE, PORT))
    greeted(good, LONG)

print(json.dumps({"sent": sent, "expected": expected} | without_zeros(summary)))
