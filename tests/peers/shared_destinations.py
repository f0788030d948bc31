"""Sends requests to a server's broadcast address and multicast group, in a network namespace. Four workers have
a socket each, and the kernel gives every socket a copy.

Usage: shared_destinations.py SERVER BACK_END. Prints the number of requests to each destination and to one
address, the number of replies, and the server's summary; with the rules against shared destinations on, and
off.
"""
import json
import socket
import sys

from namespace import PORT, Machine, Server, ip, wire, without_zeros

HERE, SERVER = "10.9.0.1", "10.9.0.2"
SHARED = ("10.9.0.255", "255.255.255.255", "224.0.0.1")
COUNT = 100

ip("link", "set", "dev", "lo", "up")
machine = Machine()
device, _ = wire(machine, [f"{HERE}/24"], [f"{SERVER}/24"])
command = (*machine.inside, sys.argv[1], "--json", "--quiet", "--backend", sys.argv[2])
workers = ("--workers", "4", "--reuseport", f"--bind=0.0.0.0:{PORT}")
allowed = ("--allow", "destination-broadcast", "--allow", "destination-multicast")

results = []
for rules in ((), allowed):
    with Server(*command, *workers, *rules) as server, socket.socket(
        socket.AF_INET, socket.SOCK_DGRAM
    ) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        client.bind((HERE, 0))
        client.settimeout(20)
        replies = {}
        for number in range(COUNT):
            for address in SHARED:
                client.sendto(b"%d at %s" % (number, address.encode()), (address, PORT))
            client.sendto(b"last", (SERVER, PORT))
            reply = b""
            # The last reply is from a socket of its own; replies from others may follow it.
            while reply != b"Hello, last!":
                reply, _ = client.recvfrom(256)
                replies[reply] = replies.get(reply, 0) + 1
        expected = len(SHARED) * COUNT if rules else 0
        while len(replies) < expected + 1:
            reply, _ = client.recvfrom(256)
            replies[reply] = replies.get(reply, 0) + 1
        summary = without_zeros(server.summary())
        # Surplus replies have arrived by now.
        client.setblocking(False)
        try:
            while True:
                reply, _ = client.recvfrom(256)
                replies[reply] = replies.get(reply, 0) + 1
        except BlockingIOError:
            pass
    del replies[b"Hello, last!"]
    most = max(replies.values(), default=0)
    results.append(
        {"shared": len(SHARED) * COUNT, "single": COUNT, "replies": len(replies), "most": most}
        | {"summary": summary}
    )
print(json.dumps(results))
machine.end()
