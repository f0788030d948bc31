"""Sends forged frames to a server that answers in the driver.

Usage: driver_attacks.py SERVER. Prints how many of them were answered, where requests of a bystander were answered
while thousands came from neighbours that do not exist, what the client's and the server's kernels counted,
and the server's summary.
"""
import json
import random
import socket
import sys

from driver_lab import FAR, FAR4, FAR6, NEAR4, NEAR6, Frames, Lab, frame, request
from namespace import without_zeros

_, SERVER = sys.argv
PORTS = (0, 1, 53, 1023, 1900, 3702, 5353, 5355, 5683, 9999, 11211)
SOURCES4 = ("0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "10.9.0.255", "10.9.4.255", FAR4)
SOURCES6 = ("::", "::1", "ff02::1", FAR6, "::ffff:10.9.0.100")
GROUPS4, GROUPS6 = ("255.255.255.255", "10.9.0.255", "224.0.0.1"), ("ff02::1",)
EVERYBODY, GROUP = b"\xff" * 6, b"\1\0\x5e\0\0\1"
# Names of lengths for which a veth pair has room behind each packet.
DAMAGED = range(3, 20)
SPOOFED, EVERY = 5000, 100


def forged():
    """Returns requests that must not be answered in the driver, by what is wrong with them."""
    ports = [request(near, port, far, b"port") for near, far in ((NEAR4, FAR4), (NEAR6, FAR6)) for port in PORTS]
    sources = [request(source, 40002, FAR4, b"source") for source in SOURCES4]
    sources += [request(source, 40002, FAR6, b"source") for source in SOURCES6]
    groups = [request(NEAR4, 40002, group, b"group") for group in GROUPS4]
    groups += [request(NEAR6, 40002, group, b"group") for group in GROUPS6]
    return {"ports": ports, "sources": sources, "groups": groups}


def client_checksum_errors():
    with open("/proc/net/snmp") as file:
        names, values = (line.split()[1:] for line in file if line.startswith("Udp:"))
        counters = dict(zip(names, map(int, values)))
    with open("/proc/net/snmp6") as file:
        six = dict(line.split() for line in file)
    return counters["InCsumErrors"], int(six["Udp6InCsumErrors"])


def damaged(lab):
    """Sends requests with a wrong checksum, whose replies have one, too. Returns how many of them the client's kernel
    drops over each family."""
    before = client_checksum_errors()
    clients = []
    for near, far in ((NEAR4, FAR4), (NEAR6, FAR6)):
        client = socket.socket(socket.AF_INET6 if ":" in near else socket.AF_INET, socket.SOCK_DGRAM)
        client.bind((near, 40003))
        packets = [request(near, 40003, far, b"x" * length, damage=0x0100) for length in DAMAGED]
        assert len(lab.replies_to(*packets)) == len(DAMAGED)
        clients.append(client)
    # The kernel verifies a short one in the receive call.
    for client in clients:
        client.setblocking(False)
        try:
            raise AssertionError(client.recv(64))
        except BlockingIOError:
            client.close()
    return [after - before for before, after in zip(before, client_checksum_errors())]


def spoof(lab):
    """Sends requests of neighbours that do not exist. Returns where those of a bystander were answered meanwhile."""
    frames, choice, places = Frames(), random.Random(1), []
    for number in range(SPOOFED):
        mac = b"\2" + choice.randbytes(5)
        source = f"10.9.0.{110 + number % 100}" if number % 2 else f"2001:db8::{number + 0x1000:x}"
        packet = request(source, 40004, FAR6 if ":" in source else FAR4, b"spoofed")
        frames.send(frame(packet, lab.mac, source=mac))
        if number % EVERY == 0:
            places += [lab.greet(FAR4), lab.greet(FAR6)]
    replies = lab.replies_to(request(NEAR4, 40001, FAR4, b"Tracy"))
    assert len(replies) == 1
    return places


def main():
    with Lab() as lab:
        # Its subnet has a broadcast address, which it does not name.
        lab.machine.ip("address", "add", "10.9.4.1/24", "dev", FAR)
        with lab.serve(SERVER, "--send-buffer", "5000") as server:
            answered = {what: len(lab.replies_to(*packets)) for what, packets in forged().items()}
            # Frames to everybody, with a packet to one.
            to_one = [request(NEAR4, 40002, FAR4, b"to one"), request(NEAR6, 40002, FAR6, b"to one")]
            lab.replies_to(*to_one, to=EVERYBODY)
            # And from a group, which a reply would reach.
            lab.replies_to(*to_one, source=GROUP)
            checksum_errors = damaged(lab)
            lab.until_sockets_are_empty()
            places = spoof(lab)
            # And one after each attack.
            sent = SPOOFED + len(places) + 2 * len(DAMAGED) + 1 + lab.number
            # The server receives what waits in its sockets before it ends.
            summary = without_zeros(server.summary())
            udp_counters = without_zeros(lab.udp_counters())
    print(json.dumps({
        "answered": answered, "checksum_errors": checksum_errors, "places": sorted(set(places)),
        "sent": sent, "summary": summary, "udp": udp_counters,
    }))


main()
