"""Shared by the comparisons with other tools: placement of processes, capture on the loopback, and statistics
over turns."""
import ctypes
import mmap
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CLIENT, SERVER = 0, 1


def enter():
    """Prepares the namespace, and returns a directory for compiled programs."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    return Path(tempfile.mkdtemp())


def build(directory, source):
    """Compiles a server from one file."""
    program = directory / source.stem
    subprocess.run(["cc", "-O2", "-o", program, source], check=True)
    return program


def start(command, *processors, **more):
    """Starts a process on these processors, with priority over all others."""
    more = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **more}
    command = [str(word) for word in command]
    return subprocess.Popen(command, preexec_fn=lambda: own(processors), **more)


def own(processors):
    os.sched_setaffinity(0, processors)
    os.nice(-20)


def cpu(process):
    """Returns the CPU time of a process, in seconds."""
    return time.clock_gettime((~process.pid << 3) | 2)


def turns(number, tools):
    """Yields the tools in turn, in both orders, so that drift affects all of them equally."""
    for turn in range(number):
        yield from tools if turn % 2 == 0 else reversed(tools)
        print(f"round {turn + 1} of {number}", file=sys.stderr)


class Capture:
    """Captures what is sent on the loopback, with the kernel's timestamps, into memory shared with the kernel
    (packet_mmap). It is read after the run, so that it wakes no process during the run."""

    SOL_PACKET, PACKET_OUTGOING, ETH_P_ALL, SO_ATTACH_FILTER = 263, 4, 3, 26
    PACKET_RX_RING, PACKET_STATISTICS, PACKET_VERSION, TPACKET_V2 = 5, 6, 10, 1
    # Keeps the headers of each datagram, up to UDP's.
    FRAME, BLOCK = 128, 1 << 16

    def __init__(self, most, port=None):
        """Makes room for `most` datagrams, optionally only those to a port."""
        blocks = -(-most * self.FRAME // self.BLOCK)
        frames = blocks * self.BLOCK // self.FRAME
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.socket.setsockopt(self.SOL_PACKET, self.PACKET_VERSION, self.TPACKET_V2)
        ring = struct.pack("4I", self.BLOCK, blocks, self.FRAME, frames)
        self.socket.setsockopt(self.SOL_PACKET, self.PACKET_RX_RING, ring)
        self.ring = mmap.mmap(self.socket.fileno(), blocks * self.BLOCK)
        # ld #pkttype; jeq; ldh [destination port]; jeq; ret
        steps = [(0x20, 0, 0, 0xFFFFF004), (0x15, 0, 3 if port else 1, self.PACKET_OUTGOING)]
        steps += [(0x28, 0, 0, 36), (0x15, 0, 1, port)] if port else []
        steps += [(0x06, 0, 0, self.FRAME), (0x06, 0, 0, 0)]
        steps = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
        program = struct.pack("HP", len(steps) // 8, ctypes.addressof(steps))
        self.socket.setsockopt(socket.SOL_SOCKET, self.SO_ATTACH_FILTER, program)
        self.socket.bind(("lo", self.ETH_P_ALL))

    def read(self):
        """Returns the send times of datagrams in nanoseconds, by ICMP type or by ports, and the number of datagrams
        that did not fit."""
        times = {}
        seen, dropped = struct.unpack(
            "II", self.socket.getsockopt(self.SOL_PACKET, self.PACKET_STATISTICS, 8)
        )
        for place in range(0, (seen - dropped) * self.FRAME, self.FRAME):
            # struct tpacket2_hdr, <linux/if_packet.h>
            _, _, _, mac, _, seconds, nanos = struct.unpack_from("3I2H2I", self.ring, place)
            ip = place + mac + 14
            protocol = self.ring[ip + 9]
            if protocol == 1:
                way = ("icmp", self.ring[ip + 20])
            elif protocol == 17:
                way = struct.unpack_from("!HH", self.ring, ip + 20)
            else:
                continue
            times.setdefault(way, []).append(seconds * 1_000_000_000 + nanos)
        self.ring.close()
        self.socket.close()
        return times, dropped


def schedule(times, interval, percents=(50, 99)):
    """Returns the deviation of datagrams from an even schedule, in microseconds; `times` are in nanoseconds, the
    interval in seconds."""
    times = [(time - times[0]) / 1e3 for time in times]
    # Without the start and the end of a run.
    times = times[len(times) // 10 : -len(times) // 10]
    interval *= 1e6
    gaps = [abs(after - before - interval) for before, after in zip(times, times[1:])]
    offsets = [time - times[0] - number * interval for number, time in enumerate(times)]
    least = min(offsets)
    late = [offset - least for offset in offsets]
    figures = {f"gap p{percent}": percentile(gaps, percent) for percent in percents}
    figures |= {f"late p{percent}": percentile(late, percent) for percent in percents}
    drift = (times[-1] - times[0]) / (len(times) - 1) / interval - 1
    return figures | {"drift ppm": drift * 1e6}


def percentile(values, percent):
    values = sorted(values)
    return values[int(((len(values) - 1) * percent + 50) // 100)]


def report(tools, results, first=None, plain=()):
    """Prints medians with the 10th and 90th percentiles, and ratios to the first tool by round, except for the
    `plain` figures."""
    first = first or tools[0]
    width = max(22, *map(len, tools))
    for what in dict.fromkeys(what for _, what in results):
        print(f"\n{what}")
        for tool in (tool for tool in tools if (tool, what) in results):
            values = results[tool, what]
            text = f"  {tool:{width}} {spread(values, 10)}"
            pairs = zip(results.get((first, what), []), values)
            ratios = [ours / value for ours, value in pairs if value]
            if ratios and what not in plain:
                text += f"   {first}/this {spread(ratios)}"
            print(text)


def spread(values, width=0):
    low, middle, high = (percentile(values, percent) for percent in (10, 50, 90))
    digits = 0 if abs(middle) >= 1000 else 2 if abs(middle) >= 1 else 3
    return f"{middle:{width}.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"
