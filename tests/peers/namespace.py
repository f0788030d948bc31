"""Helpers for the scripts that run in network namespaces."""
import json
import os
import signal
import socket
import struct
import subprocess
import threading
import time

PORT = 9999


def ip(*arguments):
    subprocess.run(("ip", *arguments), check=True)


def replace_file(path, text):
    """Replaces the contents of a system's file for this namespace."""
    new = f"/tmp/hello-{os.path.basename(path)}-{os.getpid()}"
    with open(new, "w") as file:
        file.write(text)
    subprocess.run(("mount", "--bind", new, path), check=True)
    os.unlink(new)


def open_to_all(*programs):
    """Returns paths by which every user can run programs, wherever they are: those of this namespace."""
    subprocess.run(("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/mnt"), check=True)
    paths = [f"/mnt/{os.path.basename(program)}" for program in programs]
    for program, path in zip(programs, paths):
        open(path, "w").close()
        subprocess.run(("mount", "--bind", program, path), check=True)
    return paths


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def ip_packet(source, to, protocol, payload):
    """Returns an IP packet of either family."""
    if ":" in to:
        addresses = b"".join(socket.inet_pton(socket.AF_INET6, one) for one in (source, to))
        return struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64) + addresses + payload
    addresses = socket.inet_aton(source) + socket.inet_aton(to)
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0) + addresses
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + payload


def ip_checksum(source, to, protocol, payload):
    """Returns the checksum over a payload and its pseudo-header (RFC 8200 section 8.1)."""
    family = socket.AF_INET6 if ":" in to else socket.AF_INET
    addresses = b"".join(socket.inet_pton(family, one) for one in (source, to))
    return checksum(addresses + struct.pack("!II", len(payload), protocol) + payload)


def packet(source, source_port, to, name, to_port=PORT, damage=0, summed=False):
    """Returns an IP packet with a datagram from `source`, by default a request to the server. With `damage`,
    its checksum is wrong; over IPv4, it has one with `damage` or `summed` only."""
    udp = struct.pack("!HHHH", source_port, to_port, 8 + len(name), 0) + name
    if ":" in to or damage or summed:
        total = ip_checksum(source, to, socket.IPPROTO_UDP, udp) or 0xFFFF
        udp = udp[:6] + struct.pack("!H", total ^ damage) + udp[8:]
    return ip_packet(source, to, socket.IPPROTO_UDP, udp)


def spoofer(address):
    """Returns a socket that sends whole IP packets of an address's family."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)


class Machine:
    """Another network namespace: that of a process that waits for the end of its input."""

    def __init__(self):
        self.process = subprocess.Popen(
            ("unshare", "--net", "sh", "-c", "echo; read line"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.process.stdout.readline()
        self.inside = ("nsenter", f"--net=/proc/{self.process.pid}/ns/net")
        self.ip("link", "set", "dev", "lo", "up")

    def ip(self, *arguments):
        subprocess.run((*self.inside, "ip", *arguments), check=True)

    def sysctl(self, name, value):
        command = (*self.inside, "sh", "-c", f"echo {value} > /proc/sys/{name}")
        subprocess.run(command, check=True)

    def end(self):
        self.process.communicate()


# The link addresses of a wire's ends.
NEAR_MAC, FAR_MAC = b"\2\0\0\0\0\2", b"\2\0\0\0\0\1"


def wire(machine, here, there, other=None, names=None, queues=(), far_options=()):
    """Creates a wire from this namespace, or that of `other`, to a machine. Gives its ends these addresses, and
    returns the names of both ends. Each end also has a link-local address: fe80::100 and fe80::1. `queues` and
    `far_options` are options of ip(8).
    """
    near, far = names or (("there", "here") if other is None else ("out", "in"))
    near_mac, far_mac = NEAR_MAC.hex(":"), FAR_MAC.hex(":")
    peer = ("type", "veth", "peer", "name", near)
    ip("link", "add", far, *far_options, "address", far_mac, *queues, *peer, "address", near_mac, *queues)
    ip("link", "set", "dev", far, "netns", str(machine.process.pid))
    if other is not None:
        ip("link", "set", "dev", near, "netns", str(other.process.pid))
    for run, device, addresses in (
        (ip if other is None else other.ip, near, [*here, "fe80::100/64"]),
        (machine.ip, far, [*there, "fe80::1/64"]),
    ):
        # Addresses are usable at once, without duplicate address detection.
        run("link", "set", "dev", device, "addrgenmode", "none", "up")
        for address in addresses:
            more = ("nodad",) if ":" in address else ("broadcast", "+")
            run("address", "add", address, "dev", device, *more)
    return near, far


class Attack(threading.Thread):
    """Repeats an action until it is stopped, for at most `LONGEST` seconds."""

    LONGEST = 20

    def __init__(self, attack, interval):
        super().__init__(daemon=True)
        self.attack, self.interval, self.stopped = attack, interval, threading.Event()
        self.count = 0
        self.start()

    def run(self):
        end = time.monotonic() + self.LONGEST
        while time.monotonic() < end:
            self.attack()
            self.count += 1
            if self.stopped.wait(self.interval):
                break

    def stop(self):
        """Stops it, and returns whether it was still running."""
        lasted = self.is_alive()
        self.stopped.set()
        self.join()
        return lasted


def late(*_):
    raise TimeoutError("the server prints nothing")


signal.signal(signal.SIGALRM, late)


class Server:
    """The server under test, killed at the end of a `with` block at the latest."""

    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.listening = self.line()
        assert self.listening["event"] == "listening", self.listening

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def line(self):
        """Waits for the next line, for at most 20 seconds."""
        signal.alarm(20)
        try:
            return json.loads(self.process.stdout.readline())
        finally:
            signal.alarm(0)

    def stop(self):
        """Suspends the server, so that it receives nothing until it continues."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def summary(self):
        """Stops the server, and returns its last line."""
        self.process.terminate()
        summary = json.loads(self.process.stdout.readlines()[-1])
        assert self.process.wait() == 0
        return summary


def without_zeros(summary):
    """Returns a summary without the counts that are zero."""
    if isinstance(summary, dict):
        summary = {key: without_zeros(value) for key, value in summary.items()}
        return {key: value for key, value in summary.items() if value not in (0, {})}
    return summary
