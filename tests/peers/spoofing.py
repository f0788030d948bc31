"""Plays a spoofer and the victims in a network namespace: sends the server one datagram with the address of
each peer, all of which answer what they receive, and follows each loop to its end.

Usage: spoofing.py SERVER BACK_END [OPTION...]. Prints for each peer the number of replies from the server and
what ended the loop; whether any peer got more; and the summaries of the server and of another server, which
is one of the peers.
"""
import itertools
import json
import socket
import sys

from namespace import PORT, Server, ip, packet, without_zeros

# Each in its own network.
HERE, OTHER = "127.0.0.1", "127.0.1.1"
EPHEMERAL = 40001
PORTS = (7, 19, 53, 123, 161, 1900, 3702, 5353, 5355, 5683, 11211, EPHEMERAL)
NAME = b"Tracy"
# An endless loop is ended after this many replies.
ENOUGH = 200

lengths = itertools.cycle((512, 0, 74))

# How others answer a reply: the echo service (RFC 862), a character generator (RFC 864), a name server that
# does not know this kind of query, and the tutorial's server.
ANSWERS = {
    "echo": lambda data: data,
    "chargen": lambda _: (bytes(range(32, 127)) * 6)[: next(lengths)],
    "dns": lambda data: data[:2] + bytes((data[2] ^ 0x80, data[3] & 0xF0 | 4)) + data[4:12],
    "greeter": lambda data: b"Hello, " + data[:1024] + b"!",
}


def follow(server, source, port, to, answer):
    """Sends one datagram with a spoofed source. `answer` answers each reply, or returns why it does not."""
    spoofer = spoofers[":" in to]
    spoofer.sendto(packet(source, port, to, NAME), (to, 0))
    source = f"[{source}]:{port}" if ":" in source else f"{source}:{port}"
    replies, end = 0, None
    while not end:
        line = server.line()
        assert line["source"] == source, line
        end = line.get("reason")
        if not end:
            replies += 1
            end = answer()
    return {"replies": replies, "end": end}


def peer(address, port, make):
    """Returns the socket of a peer, and the function with which it answers."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind((address, port))
    bound.settimeout(20)
    answers = iter(range(ENOUGH))

    def answer():
        data, source = bound.recvfrom(2048)
        assert source == (HERE, PORT), source
        if next(answers, None) is None:
            return "enough"
        bound.sendto(make(data), source)

    return bound, answer


def itself():
    """Answers what the server sent to itself, which needs no help."""


def no_answer():
    """Answers nothing."""
    return "silence"


def there():
    """Waits for the other server to answer."""
    reason = other.line().get("reason")
    return reason and f"{reason} there"


def options(*addresses):
    common = ("--json", "--max-lines", "10000", "--backend", sys.argv[2], *sys.argv[3:])
    return (sys.argv[1], *common, *(f"--bind={address}" for address in addresses))


ip("link", "set", "dev", "lo", "up")
spoofers = [
    socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
    for family in (socket.AF_INET, socket.AF_INET6)
]
here = options(f"{HERE}:{PORT}", f"[::1]:{PORT}")
others = options(f"{OTHER}:{PORT}", f"{OTHER}:{EPHEMERAL}", f"[::1]:{EPHEMERAL}")
with Server(*here) as server, Server(*others) as other:
    for listening in (server.line(), other.line(), other.line()):
        assert listening["event"] == "listening", listening
    cases = {
        "itself": follow(server, HERE, PORT, HERE, itself),
        "itself, IPv6": follow(server, "::1", PORT, "::1", itself),
        "server:own": follow(server, OTHER, PORT, HERE, there),
        "server": follow(server, OTHER, EPHEMERAL, HERE, there),
        "server, IPv6": follow(server, "::1", EPHEMERAL, "::1", there),
        "port 0": follow(server, OTHER, 0, HERE, no_answer),
    }
    for source in ("224.0.0.1", "255.255.255.255", "127.255.255.255"):
        cases[source] = follow(server, source, EPHEMERAL, HERE, no_answer)
    peers = []
    for (host, (name, make)), port in itertools.product(enumerate(ANSWERS.items(), 2), PORTS):
        bound, answer = peer(f"127.0.{host}.1", port, make)
        peers.append(bound)
        label = name if port == EPHEMERAL else f"{name}:{port}"
        cases[label] = follow(server, f"127.0.{host}.1", port, HERE, answer)

    # A permitted client sends a request, after which nothing is left.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(20)
        client.sendto(NAME, (HERE, PORT))
        assert client.recv(64) == b"Hello, %s!" % NAME
    more = 0
    for bound in peers:
        bound.setblocking(False)
        try:
            bound.recv(2048)
            more += 1
        except BlockingIOError:
            pass
    summaries = [without_zeros(one.summary()) for one in (server, other)]

print(json.dumps({"cases": cases, "more": more, "summaries": summaries}))
