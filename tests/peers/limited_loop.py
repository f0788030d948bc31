"""Answers every reply of a server, in loops that no rule of the server's guard ends, over a wire between two
network namespaces. Only the server's default limit ends them.

Usage: limited_loop.py SERVER BACK_END. Prints the number of loops, their replies, their duration, and the
server's summary.
"""
import itertools
import json
import signal
import socket
import sys
import time

from namespace import PORT, Machine, Server, wire

HERE, THERE = "10.9.0.100", "10.9.0.1"
LOOPS = 64
# An endless loop is ended after this many replies.
ENOUGH = 100_000

lengths = itertools.cycle((512, 0, 74))
other = Machine()
wire(other, [f"{HERE}/24"], [f"{THERE}/24"])
peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
peer.bind((HERE, 40001))
peer.settimeout(0.1)


def over_limit(server):
    server.process.send_signal(signal.SIGUSR1)
    return server.line()["refused"]["over-limit"]


command = (sys.argv[1], "--json", "--quiet", "--bind", f"{THERE}:{PORT}", "--backend", sys.argv[2])
with Server(*other.inside, *command) as server:
    start, replies = time.monotonic(), 0
    for _ in range(LOOPS):
        peer.sendto(b"Tracy", (THERE, PORT))
    while replies < ENOUGH:
        try:
            peer.recv(2048)
        except TimeoutError:
            # Each loop ends with a request over the limit.
            if over_limit(server) == LOOPS:
                break
            continue
        replies += 1
        # The output of a character generator (RFC 864).
        peer.sendto((bytes(range(32, 127)) * 6)[: next(lengths)], (THERE, PORT))
    seconds = time.monotonic() - start
    summary = server.summary()
other.end()
print(json.dumps({"loops": LOOPS, "replies": replies, "seconds": seconds, "summary": summary}))
