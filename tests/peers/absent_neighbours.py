"""Sends a server requests with the addresses of absent neighbours, in a network namespace.

Every reply to them waits for an ARP answer that never comes. They fill the server's send buffer, and that
of the spare for their network. Then a present host sends requests until it gets a reply, which takes as
long as ARP takes to give up. Prints the server's summary, with the number of requests as "sent".
"""
import json
import socket
import sys
import time

from namespace import PORT, Server, ip, packet

SERVER = "10.9.0.1"
NAME = b"x" * 1000


def frame(to_mac, source):
    """Returns an Ethernet frame with a request from `source`."""
    return to_mac + b"\2\0\0\0\0\1" + b"\x08\0" + packet(source, 40001, SERVER, NAME)


ip("link", "set", "dev", "lo", "up")
ip("link", "add", "here", "type", "veth", "peer", "name", "there")
ip("link", "set", "dev", "there", "arp", "off", "up")
ip("address", "add", SERVER + "/16", "dev", "here")
ip("link", "set", "dev", "here", "up")

wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind(("there", 0))
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as other_end:
    other_end.bind(("here", 0))
    mac = other_end.getsockname()[4]
exists = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
exists.settimeout(0.2)


def bytes_to_receive():
    """Returns the bytes queued in the server's socket (proc_net_udp)."""
    with open("/proc/net/udp") as sockets:
        rows = [row.split() for row in sockets][1:]
    return sum(int(row[4].split(":")[1], 16) for row in rows if row[1].endswith(f":{PORT:04X}"))


def answered():
    exists.sendto(b"Tracy", (SERVER, PORT))
    try:
        return exists.recv(64) == b"Hello, Tracy!"
    except TimeoutError:
        return False


# A send buffer that fills up, as the default one would not.
small = ("--send-buffer", "65536")
command = (sys.argv[1], "--json", "--quiet", *small, "--bind", f"{SERVER}:{PORT}")
with Server(*command) as server:
    sent = 0
    for batch in range(20):
        for host in range(20):
            wire.send(frame(mac, f"10.9.1.{20 * (batch % 12) + host + 1}"))
            sent += 1
        # At most what the receive buffer holds.
        while bytes_to_receive():
            time.sleep(0.001)
    while True:
        sent += 1
        if answered():
            break
        assert sent < 600, "no reply to a present host"
    while bytes_to_receive():
        time.sleep(0.001)
    print(json.dumps(server.summary() | {"sent": sent}))
