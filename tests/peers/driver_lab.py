"""Helpers for the scripts whose server answers in the driver of veth interfaces, in a namespace of its own.

The wire's nearer end, in the namespace of the script, has an XDP program that passes everything. Without one, the
kernel would not deliver what the program at the other end sends back.
"""
import ctypes
import fcntl
import json
import socket
import struct
import subprocess
import time

from namespace import FAR_MAC, NEAR_MAC, PORT, Machine, Server, ip, packet, wire
from xdp_pass import attach

NEAR, FAR = "there", "here"
ONE_QUEUE = ("numtxqueues", "1", "numrxqueues", "1")
NEAR4, NEAR6, FAR4, FAR6 = "10.9.0.100", "2001:db8::100", "10.9.0.1", "2001:db8::1"
ETH_P_ALL, ETH_P_IP, ETH_P_8021Q, ETH_P_IPV6 = 0x3, 0x800, 0x8100, 0x86DD
# linux/sockios.h, linux/ethtool.h
SIOCETHTOOL, ETHTOOL_STXCSUM, ETHTOOL_GFLAGS, ETHTOOL_SFLAGS = 0x8946, 0x17, 0x25, 0x26
# linux/if_packet.h
SOL_PACKET, PACKET_AUXDATA, TP_STATUS_VLAN_VALID = 263, 8, 1 << 4
# linux/if_link.h
MODES = {1: "native", 2: "generic"}
ETH_FLAG_TXVLAN, ETH_FLAG_RXVLAN = 1 << 7, 1 << 8


def drain(asking):
    """Returns the number of datagrams that have arrived at a socket."""
    count = 0
    asking.setblocking(False)
    while True:
        try:
            asking.recv(65536)
        except BlockingIOError:
            return count
        count += 1


def until(condition, what):
    """Waits until a condition holds, for at most 20 seconds. Returns its value."""
    deadline = time.monotonic() + 20
    while not (value := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.005)
    return value


def udp(address, source=None):
    """Returns a socket of an address's family, and the address with the server's port."""
    family, _, _, _, target = socket.getaddrinfo(address, PORT, type=socket.SOCK_DGRAM)[0]
    asking = socket.socket(family, socket.SOCK_DGRAM)
    asking.settimeout(20)
    if source:
        asking.bind((source, 0))
    return asking, target


def ethtool(interface, command, value=0):
    """Runs a command of ethtool(8), which need not be installed, and returns its value."""
    argument = ctypes.create_string_buffer(struct.pack("=II", command, value), 8)
    request = struct.pack("16sQ16x", interface.encode(), ctypes.addressof(argument))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCETHTOOL, request)
    return struct.unpack("=II", argument.raw)[1]


def fill_in_checksums(interface):
    """Has the kernel compute each checksum itself, rather than leave it to an interface of this namespace."""
    ethtool(interface, ETHTOOL_STXCSUM)


def leave_tags_in_frames(interface):
    """Has the kernel write VLAN tags into the frames that it sends, rather than beside them."""
    flags = ethtool(interface, ETHTOOL_GFLAGS)
    ethtool(interface, ETHTOOL_SFLAGS, flags & ~(ETH_FLAG_TXVLAN | ETH_FLAG_RXVLAN))


def request(source, port, to, name, to_port=PORT, damage=0):
    """Returns an IP packet with a request that has a checksum, which is right unless there is some damage."""
    return packet(source, port, to, name, to_port, damage, summed=True)


def frame(packet, to, source=NEAR_MAC, vlan=None):
    """Returns an Ethernet frame with an IP packet."""
    tag = b"" if vlan is None else struct.pack("!HH", ETH_P_8021Q, vlan)
    kind = ETH_P_IPV6 if packet[0] >> 4 == 6 else ETH_P_IP
    return (to + source + tag + struct.pack("!H", kind) + packet).ljust(60, b"\0")


class Frames:
    """Sends frames over an interface of this namespace, and sees those that arrive there."""

    def __init__(self, interface=NEAR):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.bind((interface, ETH_P_ALL))
        self.socket.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self.socket.settimeout(20)

    def send(self, *frames):
        for one in frames:
            self.socket.send(one)

    def replies(self, last):
        """Returns the frames with greetings that have arrived, up to the one for the name `last`."""
        seen = []
        while not seen or b"Hello, %s!" % last not in seen[-1]:
            data, control, _, (_, _, kind, _, _) = self.socket.recvmsg(65536, 64)
            if kind != socket.PACKET_OUTGOING and b"Hello, " in data:
                seen.append(with_tag(data, control))
        return seen


def with_tag(data, control):
    """Returns a frame as it was before the kernel took the VLAN tag out (packet(7))."""
    for level, kind, value in control:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            status, *_, tag, protocol = struct.unpack("=IIIHHHH", value)
            if status & TP_STATUS_VLAN_VALID:
                return data[:12] + struct.pack("!HH", protocol, tag) + data[12:]
    return data


class Lab:
    """A machine for the server, and a wire to it. What is sent through a wire of one queue stays in order."""

    def __init__(self, queues=ONE_QUEUE):
        self.machine, self.links, self.mac, self.number = Machine(), [], FAR_MAC, 0
        ip("link", "set", "dev", "lo", "up")
        self.wire([f"{NEAR4}/24", f"{NEAR6}/64"], [f"{FAR4}/24", f"{FAR6}/64"], queues=queues)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.machine.end()

    def wire(self, here, there, names=(NEAR, FAR), queues=ONE_QUEUE, far_options=()):
        """Creates a wire to the machine, at whose nearer end all packets pass a program."""
        wire(self.machine, here, there, names=names, queues=queues, far_options=far_options)
        # The link lasts as long as its descriptor, which is never closed.
        self.links.append(attach(names[0]))

    def serve(self, program, *options, xdp=(FAR,), limit="off", bind=(f"0.0.0.0:{PORT}", f"[::]:{PORT}")):
        """Starts the server in the machine, for a `with` block."""
        binds = [f"--bind={address}" for address in bind]
        drivers = [f"--xdp={interface}" for interface in xdp]
        command = (program, "--json", "--quiet", f"--limit={limit}", *binds, *drivers, *options)
        server = Server(*self.machine.inside, *command)
        for _ in bind[1:]:
            server.line()
        return server

    def udp_counters(self):
        """Returns the UDP counters of the machine's kernel, over both families: what its stack received."""
        counters, process = {}, self.machine.process.pid
        with open(f"/proc/{process}/net/snmp") as file:
            names, values = (line.split()[1:] for line in file if line.startswith("Udp:"))
        counters = dict(zip(names, map(int, values)))
        with open(f"/proc/{process}/net/snmp6") as file:
            for name, value in (line.split() for line in file if line.startswith("Udp6")):
                counters[name[4:]] = counters.get(name[4:], 0) + int(value)
        return counters

    def attached(self, interface=FAR):
        """Returns the mode, as `MODES` has it, and the name of the program that is attached to an interface."""
        command = (*self.machine.inside, "ip", "-json", "-details", "link", "show", "dev", interface)
        (link,) = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        xdp = link.get("xdp")
        return xdp and [MODES[xdp["mode"]], xdp["prog"].get("name")]

    def stack_received(self):
        """Returns the number of datagrams that sockets of the machine received."""
        return self.udp_counters()["InDatagrams"]

    def until_sockets_are_empty(self):
        """Waits until the machine's sockets have received what has arrived (proc_net_udp)."""

        def queued():
            rows = []
            for file in ("udp", "udp6"):
                with open(f"/proc/{self.machine.process.pid}/net/{file}") as sockets:
                    rows += list(sockets)[1:]
            return sum(int(row.split()[4].split(":")[1], 16) for row in rows)

        until(lambda: queued() == 0, "a socket is not read")

    def greet(self, address, name=b"Tracy", asking=None, port=PORT):
        """Sends a request, and expects the right reply from the right address. Returns "driver" or "socket": where
        it was answered."""
        own, target = udp(address)
        asking, target = asking or own, (target[0], port, *target[2:])
        before = self.stack_received()
        asking.sendto(name, target)
        reply, source = asking.recvfrom(65536)
        assert (reply, source) == (b"Hello, " + name + b"!", target), (reply, source)
        own.close()
        return "driver" if self.stack_received() == before else "socket"

    def replies_to(self, *packets, to=None, source=NEAR_MAC, vlan=None):
        """Sends packets to a MAC address, and then a request that is answered. Returns the replies to the former."""
        self.number += 1
        frames, last = Frames(), b"the last one, %d" % self.number
        frames.send(*(frame(packet, to or self.mac, source, vlan) for packet in packets))
        frames.send(frame(request(NEAR4, 40001, FAR4, last), self.mac))
        return frames.replies(last)[:-1]

    def until_in_driver(self, address, name=b"Tracy", place="driver"):
        """Waits until a request is answered in the driver or, if so asked, by the socket."""

        def is_there():
            asking, _ = udp(address)
            asking.settimeout(0.05)
            with asking:
                try:
                    return self.greet(address, name, asking) == place
                # Lost while something changes.
                except OSError:
                    return False

        until(is_there, f"{address} is not answered by the {place}")
