"""What the scripts for a network namespace of their own share."""
import json
import os
import signal
import socket
import struct
import subprocess

PORT = 9999


def ip(*arguments):
    subprocess.run(("ip", *arguments), check=True)


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def packet(source, source_port, to, name):
    """Returns an IP packet with a request to the server that says it comes from `source`."""
    udp = struct.pack("!HHHH", source_port, PORT, 8 + len(name), 0) + name
    if ":" in to:
        addresses = b"".join(socket.inet_pton(socket.AF_INET6, one) for one in (source, to))
        # It takes a checksum, over a header that is not sent (RFC 8200 section 8.1).
        total = checksum(addresses + struct.pack("!II", len(udp), socket.IPPROTO_UDP) + udp)
        udp = udp[:6] + struct.pack("!H", total or 0xFFFF) + udp[8:]
        return struct.pack("!IHBB", 6 << 28, len(udp), socket.IPPROTO_UDP, 64) + addresses + udp
    addresses = socket.inet_aton(source) + socket.inet_aton(to)
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + addresses
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + udp


def late(*_):
    raise TimeoutError("the server prints nothing")


signal.signal(signal.SIGALRM, late)


class Server:
    """The server under test; ended at the end of a `with` block at the latest."""

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
        """Waits for the next line, but not for ever."""
        signal.alarm(20)
        try:
            return json.loads(self.process.stdout.readline())
        finally:
            signal.alarm(0)

    def stop(self):
        """Makes it receive nothing until it goes on."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def summary(self):
        """Ends it, and returns its last line."""
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
