"""Sends a server requests over a path with a small MTU, between three network namespaces, and forges reports
of an even smaller one.

Usage: narrow_path.py SERVER BACK_END. Prints the number of packets of the reply in each case.
"""
import json
import socket
import struct
import sys

from namespace import PORT, Machine, Server, checksum, ip, ip_checksum, ip_packet, packet, wire

HERE = {4: "10.9.1.1", 6: "2001:db8:1::1"}
SERVER = {4: "10.9.2.2", 6: "2001:db8:2::2"}
# An IPv6 link has an MTU of at least 1280 bytes.
NARROW = {4: 900, 6: 1280}
FAMILIES = {4: (socket.AF_INET, 0x0800), 6: (socket.AF_INET6, 0x86DD)}

ip("link", "set", "dev", "lo", "up")
router, machine = Machine(), Machine()
router.sysctl("net/ipv4/ip_forward", 1)
router.sysctl("net/ipv6/conf/all/forwarding", 1)
device, _ = wire(router, [f"{HERE[4]}/24", f"{HERE[6]}/64"], ["10.9.1.2/24", "2001:db8:1::2/64"])
wire(
    machine,
    ["10.9.2.1/24", "2001:db8:2::1/64"],
    [f"{SERVER[4]}/24", f"{SERVER[6]}/64"],
    other=router,
)
for version, gateway in ((4, "10.9.1.2"), (6, "2001:db8:1::2")):
    ip(f"-{version}", "route", "add", "default", "via", gateway)
for version, gateway in ((4, "10.9.2.1"), (6, "2001:db8:2::1")):
    machine.ip(f"-{version}", "route", "add", "default", "via", gateway)


def narrow(version, mtu):
    """Sets the router's MTU towards this host; the MTU from this host stays the same."""
    network = {4: "10.9.1.0/24", 6: "2001:db8:1::/64"}[version]
    router.ip(f"-{version}", "route", "replace", network, "dev", "here", "mtu", str(mtu))


def packets(version, name_len):
    """Sends a request, and returns the number of packets of the reply; 0 without a reply."""
    family, kind = FAMILIES[version]
    with (
        socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(kind)) as tap,
        socket.socket(family, socket.SOCK_DGRAM) as client,
    ):
        tap.bind((device, kind))
        tap.setblocking(False)
        client.settimeout(1)
        client.connect((SERVER[version], PORT))
        name = b"x" * name_len
        client.send(name)
        try:
            assert client.recv(65536) == b"Hello, %s!" % name
        except TimeoutError:
            return 0
        count = 0
        try:
            while True:
                data, address = tap.recvfrom(65536)
                protocol = data[9] if version == 4 else data[6]
                # UDP, or an IPv6 fragment.
                count += address[2] != socket.PACKET_OUTGOING and protocol in (17, 44)
        except BlockingIOError:
            return count


def forge(version, mtu):
    """Reports that a reply to this host was too big, as anyone could."""
    here, server = HERE[version], SERVER[version]
    quoted = packet(server, PORT, here, b"x" * 1000, to_port=40001)
    if version == 6:
        body = struct.pack("!BBHI", 2, 0, 0, mtu) + quoted[:1200]
        total = ip_checksum(here, server, socket.IPPROTO_ICMPV6, body)
        report = ip_packet(here, server, socket.IPPROTO_ICMPV6, body[:2] + struct.pack("!H", total) + body[4:])
    else:
        # The quoted packet comes from the server's own port.
        quoted = quoted[:20] + struct.pack("!HH", PORT, 40001) + quoted[24:]
        body = struct.pack("!BBHHH", 3, 4, 0, 0, mtu) + quoted[:500]
        report = ip_packet(here, server, socket.IPPROTO_ICMP, body[:2] + struct.pack("!H", checksum(body)) + body[4:])
    family = FAMILIES[version][0]
    with socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        raw.sendto(report, (server, 0))


results = {}
options = ("--json", "--quiet")
binds = (f"--bind=0.0.0.0:{PORT}", f"--bind=[::]:{PORT}", "--backend", sys.argv[2])
for max_name in (1024, 4096):
    with Server(*machine.inside, sys.argv[1], *options, *binds, f"--max-name={max_name}") as server:
        for version in (4, 6):
            lens = {1024: [1000], 4096: [1000, 1460, 4000]}[max_name]
            for name_len in lens:
                case = f"IPv{version}, --max-name {max_name}, {name_len} bytes"
                wide = packets(version, name_len)
                forge(version, 552 if version == 4 else 1280)
                forged = packets(version, name_len)
                narrow(version, NARROW[version])
                narrowed = packets(version, name_len)
                narrow(version, 1500)
                results[case] = {"wide": wide, "forged": forged, "narrow": narrowed}
print(json.dumps(results))
for one in (router, machine):
    one.end()
