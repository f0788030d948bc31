"""Sends too many requests from one network to a server that answers in the driver, and others from networks that
stay within the limit or are exempt from it.

Usage: driver_limit.py SERVER. Prints how many were sent and answered, how long it took, what the kernel's sockets
received, and the server's summary.
"""
import json
import sys
import time

from driver_lab import FAR, FAR4, FAR6, NEAR, NEAR4, Lab, drain, ip, udp
from namespace import without_zeros

_, SERVER = sys.argv
FLOOD, EVERY = 6000, 100
RATE, BURST = 100, 200
BYSTANDER, EXEMPT = "10.9.2.1", "10.9.3.1"


def main():
    with Lab() as lab:
        for host, run, device in (("100", ip, NEAR), ("1", lab.machine.ip, FAR)):
            for network in ("10.9.2", "10.9.3"):
                run("address", "add", f"{network}.{host}/24", "dev", device)
        options = ("--limit-burst", str(BURST), "--limit-exempt", "10.9.3.0/24")
        with lab.serve(SERVER, *options, limit=str(RATE)) as server:
            # Both addresses of its network have one limit.
            ip("address", "add", "10.9.0.101/24", "dev", NEAR)
            flooding = [udp(FAR4)[0] for _ in range(2)]
            for asking, source in zip(flooding, (NEAR4, "10.9.0.101")):
                asking.bind((source, 0))
                asking.connect((FAR4, 9999))
            # Its neighbours are known, so no request waits.
            warm = [lab.greet(address) for address in (BYSTANDER, EXEMPT, FAR6)]
            sent, replies, places = 0, 0, []
            start = time.monotonic()
            for number in range(FLOOD):
                flooding[number % 2].send(b"flood")
                if number % EVERY == 0:
                    replies += sum(map(drain, flooding))
                    places += [lab.greet(BYSTANDER), lab.greet(FAR6)]
                    places += [lab.greet(EXEMPT) for _ in range(EVERY // 10)]
            # The last one of its queue.
            places.append(lab.greet(EXEMPT))
            seconds = time.monotonic() - start
            replies += sum(map(drain, flooding))
            summary = without_zeros(server.summary())
            udp_counters = without_zeros(lab.udp_counters())
    places += warm
    print(json.dumps({
        "flood": FLOOD, "replies": replies, "seconds": seconds, "others": len(places), "places": sorted(set(places)),
        "rate": RATE, "burst": BURST, "udp": udp_counters, "summary": summary,
    }))


main()
