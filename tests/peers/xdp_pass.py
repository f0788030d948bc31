"""Attaches an XDP program that passes every packet, without a compiler, a loader or ip(8): by bpf(2) alone.

A veth pair delivers what a program at one end sends back (XDP_TX) only to an end that has a program, too.

Usage: xdp_pass.py SERVER. Prints why no program can be attached here, or null.
"""
import ctypes
import json
import os
import platform
import socket
import struct
import subprocess

# linux/bpf.h, linux/if_link.h
BPF_PROG_LOAD, BPF_LINK_CREATE = 5, 28
BPF_PROG_TYPE_XDP, BPF_XDP = 6, 37
XDP_PASS = 2
XDP_FLAGS_SKB_MODE, XDP_FLAGS_DRV_MODE = 2, 4
SYSCALL = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "ppc64le": 361, "s390x": 351}
LIBC = ctypes.CDLL(None, use_errno=True)

# r0 = XDP_PASS; exit
PROGRAM = struct.pack("=BBhi", 0xB7, 0, 0, XDP_PASS) + struct.pack("=BBhi", 0x95, 0, 0, 0)


def bpf(command, attributes):
    """Calls bpf(2), and returns the descriptor."""
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    descriptor = LIBC.syscall(SYSCALL[platform.machine()], command, buffer, len(attributes))
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), f"bpf(2): {os.strerror(ctypes.get_errno())}")
    return descriptor


def load():
    """Loads the program, and returns its descriptor."""
    program, license = ctypes.create_string_buffer(PROGRAM), ctypes.create_string_buffer(b"MIT")
    counts = (BPF_PROG_TYPE_XDP, len(PROGRAM) // 8)
    pointers = (ctypes.addressof(program), ctypes.addressof(license))
    # After the pointers: the verifier's log, the kernel's version, flags, a name, an interface, the place.
    attributes = struct.pack("=IIQQIIQII16sII", *counts, *pointers, 0, 0, 0, 0, 0, b"pass", 0, BPF_XDP)
    return bpf(BPF_PROG_LOAD, attributes)


def attach(interface, flags=XDP_FLAGS_DRV_MODE):
    """Attaches the program to an interface of this namespace. Returns the link's descriptor: the program is
    attached for as long as that is open."""
    program = load()
    try:
        index = socket.if_nametoindex(interface)
        return bpf(BPF_LINK_CREATE, struct.pack("=IIII", program, index, BPF_XDP, flags))
    finally:
        os.close(program)


def main():
    pair = ("ip", "link", "add", "here", "type", "veth", "peer", "name", "there")
    subprocess.run(pair, check=True)
    try:
        attach("here")
    except (OSError, KeyError) as error:
        return str(error)
    return None


if __name__ == "__main__":
    print(json.dumps(main()))
