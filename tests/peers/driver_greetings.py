"""Sends requests over IPv4 and IPv6 to a server that answers in the driver: from a plain socket, from hello-client,
hello-ping and hello-load, and while the server is stopped with its sockets full.

Usage: driver_greetings.py SERVER CLIENT PING LOAD. Prints where each name was answered, the tools' results, and
the number of requests that were sent and the server's summary.
"""
import json
import subprocess
import sys

from driver_lab import FAR4, FAR6, NEAR, PORT, Lab, udp
from namespace import without_zeros

_, SERVER, CLIENT, PING, LOAD = sys.argv
HEADERS = {FAR4: 28, FAR6: 48}
NAMES = {"empty": b"", "short": b"Tracy", "odd": b"Tracy!", "bytes": bytes(range(256)), "long": b"x" * 1024}


def exchange_names(lab, address):
    """Returns where each name was answered, by what is special about it."""
    # The longest request whose reply, of 8 bytes more, is a frame of this MTU or, over IPv6, passes every path; and a
    # request that is such a frame.
    longest = (1280 if ":" in address else 1500) - HEADERS[address] - 8
    names = NAMES | {"mtu": b"m" * longest, "above": b"m" * (longest + 1), "request": b"m" * (longest + 8)}
    places = {what: lab.greet(address, name) for what, name in names.items()}
    # In two fragments.
    places["fragments"] = lab.greet(address, b"f" * 2000)
    # Of all lengths. A veth pair has no room behind some packets; the socket answers them.
    lengths = range(0, 260, 3)
    every = [lab.greet(address, b"n" * length) for length in lengths]
    places["lengths"] = every.count("driver") > 0.9 * len(every)
    return places, len(names) + 1 + len(every)


def run(*command):
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return ended.stdout


def run_tools(lab, address):
    """Returns what the tools print, and the number of their requests."""
    target = f"[{address}]:{PORT}" if ":" in address else f"{address}:{PORT}"
    before = lab.stack_received()
    said = run(CLIENT, "--server", target, "Tracy")
    ping = json.loads(run(PING, "--json", "--quiet", "-c", "20", "-i", "5ms", target).splitlines()[-1])
    load = ("--json", "--quiet", "--remote", "--duration", "200ms", "--warm-up", "0", target)
    load = json.loads(run(LOAD, *load).splitlines()[-1])
    at_sockets = lab.stack_received() - before
    results = {"client": said, "ping": ping, "load": load, "at_sockets": at_sockets}
    return results, 1 + ping["sent"] + load["sent"]


def greet_while_sockets_are_full(lab, server, drops):
    """Fills the sockets of a stopped server, and sends requests to its driver. Returns the numbers of requests for
    the sockets and for the driver."""
    server.stop()
    filling = 0
    for address in (FAR4, FAR6):
        asking, target = udp(address)
        with asking:
            # A source port that is the server's own, which the driver leaves to the socket.
            asking.bind(("", PORT))
            before = drops(address)
            while drops(address) == before:
                asking.sendto(b"x" * 1024, target)
                filling += 1
    places = [lab.greet(address, b"name%d" % (number % 10)) for number in range(20) for address in (FAR4, FAR6)]
    assert set(places) == {"driver"}, places
    server.resume()
    return filling, len(places)


def main():
    results = {}
    sent = 0
    with Lab(queues=()) as lab:
        counters = ("/proc/%d/net/udp", "/proc/%d/net/udp6")

        def drops(address):
            with open(counters[":" in address] % lab.machine.process.pid) as sockets:
                return sum(int(row.split()[-1]) for row in list(sockets)[1:])

        with lab.serve(SERVER, "--max-name", "2000", "--receive-buffer", "20000") as server:
            for address in (FAR4, FAR6):
                places, count = exchange_names(lab, address)
                tools, more = run_tools(lab, address)
                results[address] = {"places": places, **tools}
                sent += count + more
            local = lab.greet(f"fe80::1%{NEAR}")
            filling, driven = greet_while_sockets_are_full(lab, server, drops)
            sent += 1 + filling + driven
            summary = without_zeros(server.summary())
    print(json.dumps({"results": results, "link_local": local, "sent": sent, "summary": summary}))


main()
