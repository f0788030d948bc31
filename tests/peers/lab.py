"""Networks of network namespaces, to test what a tool reports of a path, over IPv4 and IPv6 at once.

    with diamond() as lab, lab.serve(SERVER):
        rule = lab["B1"].drop(percent=30, direction="there")
        ...
        print(lab["B1"].arrivals(), rule.packets())

A lab is a graph: machines, and links between two of them, numbered from 1 in their order. The ends of link x have
the addresses 10.80.x.1 and fd80:x::1, and 10.80.x.2 and fd80:x::2, and the device at each end has the name of the
machine at the other. The client is the namespace of the script itself. Every machine has a route to every link over
each shortest path, so paths of equal length share the flows, in both directions, by addresses and ports.

Two properties of Linux matter to tests. A router reports ICMP errors from the address at which the packet arrived
only over IPv4; over IPv6 from that of the route back, which may be any of `addresses(6)`. And a link-layer address
is resolved once for each hop, so the first packet takes longer.
"""
import ctypes
import errno
import json
import os
import re
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from namespace import PORT, Machine, Server

# The names of nft's types of ICMP and ICMPv6 errors that a firewall sends.
REJECTS = {
    4: (
        "net-unreachable",
        "host-unreachable",
        "prot-unreachable",
        "port-unreachable",
        "net-prohibited",
        "host-prohibited",
        "admin-prohibited",
    ),
    6: ("no-route", "admin-prohibited", "addr-unreachable", "port-unreachable", "policy-fail", "reject-route"),
}
# Datagrams to and from the server.
DIRECTIONS = {"there": f"udp dport {PORT}", "back": f"udp sport {PORT}", None: "meta l4proto udp"}
FAMILIES = {4: "meta nfproto ipv4 ", 6: "meta nfproto ipv6 ", None: ""}
# What a machine's chains see: all that arrives, before anything is done with it, what it forwards, what is for
# itself, and what it sends itself.
CHAINS = {"arrive": "prerouting", "forward": "forward", "input": "input", "output": "output"}
RULES = "table inet lab {\n%s%s}\n" % (
    "".join(
        f"set {direction}{version} {{ type inet_service; flags dynamic; size 65535; counter; }}\n"
        for direction in ("there", "back")
        for version in (4, 6)
    ),
    "".join(f"chain {name} {{ type filter hook {hook} priority -150; }}\n" for name, hook in CHAINS.items()),
) + "".join(
    f"add rule inet lab arrive {FAMILIES[version]}{DIRECTIONS[direction]} "
    f"add @{direction}{version} {{ udp {port} }}\n"
    for direction, port in (("there", "sport"), ("back", "dport"))
    for version in (4, 6)
)
# Settings that not every kernel has for each namespace are left out there.
#
# Routers choose a path by addresses, protocol and ports alone (bits 0, 1, 2, 4 and 5 of the fields). Policy 1 would
# do so for packets that came over a real wire, but these still have the hash of the socket that sent them, a random
# number for each connected socket, which policy 1 takes instead. Policy 3 does not. With the seed, the choice is the
# same in each run.
SETTINGS = {
    "net/ipv4/ip_forward": 1,
    "net/ipv6/conf/all/forwarding": 1,
    "net/ipv4/conf/all/rp_filter": 0,
    "net/ipv4/conf/default/rp_filter": 0,
    "net/ipv4/fib_multipath_hash_policy": 3,
    "net/ipv6/fib_multipath_hash_policy": 3,
    "net/ipv4/fib_multipath_hash_fields": 0x37,
    "net/ipv6/fib_multipath_hash_fields": 0x37,
    "net/ipv4/fib_multipath_hash_seed": 80,
    "net/ipv4/icmp_errors_use_inbound_ifaddr": 1,
    "net/ipv4/icmp_ratelimit": 0,
    "net/ipv4/icmp_msgs_per_sec": 1000000,
    "net/ipv4/icmp_msgs_burst": 1000000,
    "net/ipv6/icmp/ratelimit": 0,
    "net/ipv6/conf/all/keep_addr_on_down": 1,
}
ENDS = ("client", "server")
LIBC = ctypes.CDLL(None, use_errno=True)
MARKER = "the-end-of-the-capture"


def address(link, end, version):
    """Returns the address of a link's end, 1 or 2."""
    return f"10.80.{link}.{end}" if version == 4 else f"fd80:{link}::{end}"


class Rule:
    """A rule of a machine's firewall, until it is removed or its `with` block ends."""

    def __init__(self, node, chain, text):
        self.node, self.chain = node, chain
        added = node.nft("--echo", "--handle", "add", "rule", "inet", "lab", chain, *text.split())
        self.handle = re.search(r"# handle (\d+)", added).group(1)

    def packets(self):
        """Returns the number of packets that the rule has acted on."""
        for entry in json.loads(self.node.nft("--json", "list", "chain", "inet", "lab", self.chain))["nftables"]:
            if str(entry.get("rule", {}).get("handle")) == self.handle:
                return next(part["counter"]["packets"] for part in entry["rule"]["expr"] if "counter" in part)
        raise KeyError(self.handle)

    def remove(self):
        self.node.nft("delete", "rule", "inet", "lab", self.chain, "handle", self.handle)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()


class Node:
    """A machine of a lab."""

    def __init__(self, name):
        self.name = name
        self.machine = None if name == "client" else Machine()
        self.inside = () if self.machine is None else self.machine.inside
        self.pid = os.getpid() if self.machine is None else self.machine.process.pid
        # The number of the link, and of this end of it, by neighbour.
        self.ends = {}

    def run(self, *command, **options):
        """Runs a command in the machine, and returns its output."""
        command = (*self.inside, *command)
        return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, **options).stdout

    def ip(self, *arguments):
        self.run("ip", *arguments)

    def nft(self, *arguments, **options):
        return self.run("nft", *arguments, **options)

    def socket(self, *arguments):
        """Returns a socket of the machine."""

        def make():
            with open(f"/proc/{self.pid}/ns/net") as namespace:
                assert LIBC.setns(namespace.fileno(), 0) == 0, os.strerror(ctypes.get_errno())
            return socket.socket(*arguments)

        # A thread of its own, because only that enters the namespace.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(make).result()

    def sysctl(self, name, value):
        """Sets a setting such as net/ipv4/icmp_ratelimit (0 in a lab, so that each error is reported)."""
        self.sysctls({name: value}, must_exist=True)

    def sysctls(self, settings, must_exist=False):
        lines = (
            f"[ -e /proc/sys/{name} ] {'&&' if must_exist else '|| exit 0;'} echo '{value}' > /proc/sys/{name}"
            for name, value in settings.items()
        )
        self.run("sh", "-e", input="\n".join(f"({line})" for line in lines))

    def address(self, version, neighbour=None):
        """Returns the address at the link to a neighbour; by default, to the only one."""
        if neighbour is None:
            (neighbour,) = self.ends
        return address(*self.ends[neighbour], version)

    def addresses(self, version):
        """Returns all addresses."""
        return [address(*end, version) for end in self.ends.values()]

    def arrivals(self):
        """Returns how many datagrams arrived here to the server ("there") and from it ("back"), whatever became of
        them, by IP version and by the client's port: `{"there": {4: {40000: 7}, 6: {}}, "back": ...}`."""
        listed = json.loads(self.nft("--json", "list", "sets", "inet"))["nftables"]
        sets = {entry["set"]["name"]: entry["set"].get("elem", []) for entry in listed if "set" in entry}
        return {
            direction: {
                version: {
                    element["elem"]["val"]: element["elem"]["counter"]["packets"]
                    for element in sets[f"{direction}{version}"]
                }
                for version in (4, 6)
            }
            for direction in ("there", "back")
        }

    def rule(self, chain, text):
        """Adds a rule of nft's to a chain of `CHAINS`. It must have a counter."""
        return Rule(self, chain, text)

    def drop(self, percent=None, every=None, direction=None, version=None, chain="forward", match=""):
        """Drops the datagrams that it forwards: all, at random with a probability, or every n-th of them. With a
        direction, only those "there" or those "back". `match` is more text of nft's, such as `udp sport 40000`."""
        which = ""
        if percent is not None:
            assert 0 < percent < 100, percent
            which = f"numgen random mod 100 < {percent}"
        elif every is not None:
            which = f"numgen inc mod {every} {every - 1}"
        return self.rule(chain, f"{FAMILIES[version]}{DIRECTIONS[direction]} {match} {which} counter drop")

    def reject(self, version, kind, direction="there", chain="forward", match=""):
        """Rejects datagrams with an ICMP error, one of `REJECTS`."""
        icmp = "icmp" if version == 4 else "icmpv6"
        what = f"{FAMILIES[version]}{DIRECTIONS[direction]} {match}"
        return self.rule(chain, f"{what} counter reject with {icmp} {kind}")

    def silence(self):
        """Keeps the machine's own ICMP errors from leaving it. Returns the rules, one for each IP version."""
        four, six = "destination-unreachable, time-exceeded", "destination-unreachable, packet-too-big, time-exceeded"
        return [
            self.rule("output", f"icmp type {{ {four}, parameter-problem }} counter drop"),
            self.rule("output", f"icmpv6 type {{ {six}, parameter-problem }} counter drop"),
        ]

    def silence_too_big(self):
        """Keeps only "too big" messages from leaving the machine. Returns the rules, one for each IP version."""
        return [
            self.rule("output", "icmp type destination-unreachable icmp code frag-needed counter drop"),
            self.rule("output", "icmpv6 type packet-too-big counter drop"),
        ]

    def capture(self, file, device="any", match=f"udp port {PORT}"):
        """Captures packets with tcpdump, for a `with` block."""
        return Capture(self, file, device, match)


class Capture:
    """A packet capture that runs in a machine."""

    def __init__(self, node, file, device, match):
        self.node, self.file, self.device = node, file, device
        match = f"({match}) or udp port 9"
        command = ("tcpdump", "-Z", "root", "-U", "--immediate-mode", "-n", "-i", device, "-w", file, match)
        self.process = subprocess.Popen((*node.inside, *command), stderr=subprocess.PIPE, text=True)
        seen = []
        while not any("listening on" in line for line in seen):
            seen.append(self.process.stderr.readline())
            assert seen[-1], seen

    def stop(self):
        """Ends the capture after what has been received so far is in the file: a last datagram, to the discard
        port, which follows it there."""
        device, to = self.device, "127.0.0.1"
        if device != "any":
            link, end = self.node.ends[device]
            to = address(link, 3 - end, 4)
        self.node.run("bash", "-c", f"echo -n {MARKER} > /dev/udp/{to}/9")
        deadline = time.monotonic() + 20
        while MARKER.encode() not in open(self.file, "rb").read():
            assert time.monotonic() < deadline, "the capture has no end"
            time.sleep(0.01)
        self.process.send_signal(signal.SIGINT)
        _, text = self.process.communicate(timeout=20)
        assert self.process.returncode == 0, text

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Lab:
    """A network, for a `with` block: `Lab(("client", "A"), ("A", "server"))`."""

    def __init__(self, *links):
        names = dict.fromkeys(name for link in links for name in link)
        self.nodes = {name: Node(name) for name in names}
        self.links = {}
        for number, (near, far) in enumerate(links, 1):
            self[near].ends[far], self[far].ends[near] = (number, 1), (number, 2)
            self.links[number] = (near, far)
        subprocess.run(("ip", "link", "set", "dev", "lo", "up"), check=True)
        for name, node in self.nodes.items():
            settings = dict(SETTINGS)
            if name in ENDS:
                # A host that forwards would send what it cannot deliver back where it came from.
                settings |= {"net/ipv4/ip_forward": 0, "net/ipv6/conf/all/forwarding": 0}
            node.sysctls(settings)
        pairs = (
            f"link add {far} netns {self[near].pid} type veth peer {near} netns {self[far].pid}"
            for near, far in self.links.values()
        )
        subprocess.run(("ip", "-batch", "-"), input="\n".join(pairs), check=True, text=True)
        # The routes of each machine, by link: the neighbours next on the way to it.
        self.routes = {name: self._shortest(name) for name in names}
        for name, node in self.nodes.items():
            lines = []
            for neighbour, (link, end) in node.ends.items():
                lines.append(f"link set dev {neighbour} addrgenmode none up")
                lines.append(f"address add {address(link, end, 4)}/24 broadcast + dev {neighbour}")
                # Usable at once, without duplicate address detection. A router solicits its neighbours from
                # its link-local address.
                for one in (address(link, end, 6), f"fe80::{end}"):
                    lines.append(f"address add {one}/64 nodad dev {neighbour}")
            node.run("ip", "-batch", "-", input="\n".join(lines))
        for name, node in self.nodes.items():
            self._set_routes(name)
            node.nft("-f", "-", input=RULES)

    def __getitem__(self, name):
        return self.nodes[name]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        for node in self.nodes.values():
            if node.machine is not None:
                node.machine.end()

    def _distances(self, link):
        """Returns each machine's distance in hops from a link's nearer end."""
        distances = dict.fromkeys(self.links[link], 0)
        queue = list(distances)
        for name in queue:
            for neighbour in self[name].ends:
                if neighbour not in distances:
                    distances[neighbour] = distances[name] + 1
                    queue.append(neighbour)
        return distances

    def _shortest(self, name):
        """Returns the next machines on the shortest paths from a machine to each link that is not its own."""
        routes = {}
        for link, ends in self.links.items():
            if name not in ends:
                distances = self._distances(link)
                routes[link] = [one for one in self[name].ends if distances[one] < distances[name]]
        return routes

    def _set_routes(self, name, links=None):
        lines = {4: [], 6: []}
        for link in self.routes[name] if links is None else links:
            for version, prefix in ((4, "24"), (6, "64")):
                network = address(link, 0, version).removesuffix("0" if version == 6 else "")
                hops = " ".join(
                    f"nexthop via {self[hop].address(version, name)} dev {hop}" for hop in self.routes[name][link]
                )
                lines[version].append(f"route replace {network}/{prefix} {hops}")
        for version in (4, 6):
            self[name].run("ip", f"-{version}", "-batch", "-", input="\n".join(lines[version]))

    def reroute(self, name, to, *via):
        """Changes a machine's route to the link of "client" or "server": it now has these neighbours as next hops."""
        ((link, _),) = self[to].ends.values()
        self.routes[name][link] = list(via)
        self._set_routes(name, [link])

    def set_mtu(self, near, far, mtu):
        """Sets the MTU of a link at both ends. IPv6 ends below 1280."""
        assert mtu >= 1280, mtu
        for name, device in ((near, far), (far, near)):
            self[name].ip("link", "set", "dev", device, "mtu", str(mtu))

    def down(self, name, neighbour):
        """Takes down a machine's end of a link. This machine stops to use it, and spreads flows over what remains;
        the machine at the other end keeps its routes, and what it sends vanishes."""
        self[name].ip("link", "set", "dev", neighbour, "down")

    def up(self, name, neighbour):
        """Takes the end up again, with its routes, and returns when the link works."""
        self[name].ip("link", "set", "dev", neighbour, "up")
        # The system keeps only the other addresses.
        self[name].ip("address", "replace", f"fe80::{self[name].ends[neighbour][1]}/64", "nodad", "dev", neighbour)
        for node, device in ((self[name], neighbour), (self[neighbour], name)):
            deadline = time.monotonic() + 20
            while " state UP " not in node.run("ip", "link", "show", "dev", device):
                assert time.monotonic() < deadline, f"{device} of {node.name} stays down"
            # Forget a neighbour that was searched for in vain, rather than wait for the next attempt. While packets
            # create new entries, ip gives up, but then the old ones are gone, too.
            command = (*node.inside, "ip", "neigh", "flush", "dev", device)
            subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._set_routes(name)

    def name_of(self, text):
        """Returns the name of the machine with an address."""
        return next(
            name for name, node in self.nodes.items() for version in (4, 6) if text in node.addresses(version)
        )

    def target(self, version):
        """Returns the server's address."""
        return self["server"].address(version)

    def serve(self, program, *options):
        """Starts hello-server on both addresses of the server, for a `with` block."""
        binds = [f"--bind={self.target(4)}:{PORT}", f"--bind=[{self.target(6)}]:{PORT}"]
        return Server(*self["server"].inside, program, "--json", "--quiet", *binds, *options)

    def use_ports(self, first, count):
        """Makes the client's system choose source ports from these alone, so that it is known which path a tool's
        flows take."""
        self["client"].sysctl("net/ipv4/ip_local_port_range", f"{first} {first + count - 1}")

    def greet(self, version, port=0, name=b"Tracy", ttl=None, timeout=1.0, dont_fragment=False):
        """Sends a request from one of the client's ports. Returns the reply, or the name of the error, such as
        "EHOSTUNREACH", or None without either in time."""
        # IP_RECVERR, IP_MTU_DISCOVER and IPV6_RECVERR, IPV6_MTU_DISCOVER.
        family, level, hops, recverr, discover = {
            4: (socket.AF_INET, socket.IPPROTO_IP, socket.IP_TTL, 11, 10),
            6: (socket.AF_INET6, socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 25, 23),
        }[version]
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.settimeout(timeout)
            sock.setsockopt(level, recverr, 1)
            if ttl is not None:
                sock.setsockopt(level, hops, ttl)
            if dont_fragment:
                sock.setsockopt(level, discover, 2)
            sock.bind((self["client"].address(version), port))
            sock.connect((self.target(version), PORT))
            try:
                sock.send(name)
                return sock.recv(65536)
            except TimeoutError:
                return None
            except OSError as error:
                return errno.errorcode[error.errno]


def line(*routers):
    """Returns the client and the server with these routers between them, by default one, A."""
    names = ["client", *(routers or ("A",)), "server"]
    return Lab(*zip(names, names[1:]))


def diamond():
    """Returns client - A - B1 or B2 - C - server, where B1 and B2 share the flows in both directions."""
    return Lab(("client", "A"), ("A", "B1"), ("A", "B2"), ("B1", "C"), ("B2", "C"), ("C", "server"))
