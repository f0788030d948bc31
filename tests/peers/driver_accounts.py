"""Sends plain requests, those that only sockets handle, and those that are refused, all at the same time, to a
server that answers in the driver of one of its two interfaces.

Usage: driver_accounts.py SERVER. Prints what was sent, by its outcome, what the kernel's sockets received, and the
server's summary.
"""
import json
import socket
import sys
from concurrent.futures import ThreadPoolExecutor

from driver_lab import FAR4, FAR6, NEAR, PORT, Lab, udp, until
from namespace import without_zeros

_, SERVER = sys.argv
OTHER4 = "10.9.1.1"
WINDOW = 20
NO_OPERATIONS = b"\1\1\1\0"


def answered(address, count, options=b""):
    """Sends requests, and receives as many replies."""
    asking, target = udp(address)
    with asking:
        if options:
            asking.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, options)
        for start in range(0, count, WINDOW):
            names = [b"name %05d" % number for number in range(start, start + WINDOW)]
            for name in names:
                asking.sendto(name, target)
            replies = {asking.recv(64) for _ in names}
            assert replies == {b"Hello, %s!" % name for name in names}, replies
    return count


def unanswered(address, count, name=b"Tracy", port=0):
    """Sends requests that are refused."""
    asking, target = udp(address)
    with asking:
        asking.bind(("", port))
        for _ in range(count):
            asking.sendto(name, target)
    return count


def main():
    with Lab() as lab:
        lab.wire(["10.9.1.100/24"], [f"{OTHER4}/24"], ("there1", "here1"))
        long, twice = b"x" * 1201, b"Hello, Hello, Tracy!!"
        # The outcome, and whether the driver has a part in it.
        work = [
            ("driver", answered, FAR4, 4000),
            ("driver", answered, FAR6, 4000),
            ("driver", answered, f"fe80::1%{NEAR}", 1000),
            ("socket", answered, FAR4, 400, NO_OPERATIONS),
            ("socket", answered, OTHER4, 600),
            ("name-too-long", unanswered, FAR4, 30, long),
            ("name-too-long", unanswered, FAR6, 20, b"x" * 3000),
            ("greeted-twice", unanswered, FAR6, 35, twice),
            ("source-port-own", unanswered, FAR4, 40, b"Tracy", PORT),
            ("source-port-privileged", unanswered, FAR6, 45, b"Tracy", 53),
            ("source-port-reflector", unanswered, FAR4, 50, b"Tracy", 5353),
        ]
        # Neighbours are found before, for requests that wait for them can be lost.
        with lab.serve(SERVER, "--max-name", "1200", "--workers", "2") as server:
            first = [lab.greet(address) for address in (FAR4, FAR6, f"fe80::1%{NEAR}", OTHER4)]
            sent = {"driver": first.count("driver"), "socket": first.count("socket")}
            with ThreadPoolExecutor(len(work)) as pool:
                running = [(outcome, pool.submit(send, *arguments)) for outcome, send, *arguments in work]
                for outcome, count in running:
                    sent[outcome] = sent.get(outcome, 0) + count.result()
            at_sockets = sum(sent.values()) - sent["driver"]
            until(lambda: lab.stack_received() >= at_sockets, "the sockets do not receive all")
            summary = without_zeros(server.summary())
        print(json.dumps({"sent": sent, "udp": without_zeros(lab.udp_counters()), "summary": summary}))


main()
